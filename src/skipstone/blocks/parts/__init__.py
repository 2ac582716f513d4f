"""What the designs share: layers by number of spatial axes, the residual sum, branches, the steps of a plan."""
