"""Exact legal input sizes."""

from skipstone.tracing.sizes.legal import legal_sizes
from skipstone.tracing.sizes.request import SizesError, parse_pattern_text
from skipstone.tracing.sizes.summary import summaries

__all__ = ["SizesError", "legal_sizes", "parse_pattern_text", "summaries"]
