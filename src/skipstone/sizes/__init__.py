"""Exact legal input sizes. The names are imported when first asked for: a check without a fault needs none of them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skipstone.sizes.legal import legal_sizes
    from skipstone.sizes.request import SizesError, parse_pattern_text
    from skipstone.sizes.summary import summaries

__all__ = ["SizesError", "legal_sizes", "parse_pattern_text", "summaries"]

_HOMES = {"SizesError": "request", "legal_sizes": "legal", "parse_pattern_text": "request", "summaries": "summary"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"skipstone.sizes.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
