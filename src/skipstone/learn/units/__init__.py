"""One unit a file; their order and names stand in `skipstone.learn.unit`."""
