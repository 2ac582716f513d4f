"""What a recorded network says: operations and their roles, axes, ancestry, kinds of skips, costs. No torch."""
