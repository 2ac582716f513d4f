"""What repairs of several rules share: how merges are fitted, writes moved and widths changed."""
