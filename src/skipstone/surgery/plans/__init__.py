"""What to edit: skips put in and taken out, as plain edits with their costs."""
