"""What a training run leaves behind: its records, its folder, its recipe, how it ended. No torch."""
