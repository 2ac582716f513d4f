"""Edits carried out in source text."""
