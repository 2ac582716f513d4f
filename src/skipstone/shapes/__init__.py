"""Sizes and shapes as integers: what comes out of an operation, and how one shape becomes another. No torch."""
