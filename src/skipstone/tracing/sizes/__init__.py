"""Exact legal input sizes."""

from skipstone.tracing.sizes.legal import legal_sizes

__all__ = ["legal_sizes"]
