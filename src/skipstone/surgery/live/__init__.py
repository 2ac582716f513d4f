"""Edits carried out on a live network."""
