"""Exact legal input sizes."""
