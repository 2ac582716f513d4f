"""A user's own program, unchanged: which networks it calls, with what, and what to say where it fails."""

from importlib import import_module
from typing import TYPE_CHECKING

from skipstone.programs.hooks import explaining, install, uninstall

if TYPE_CHECKING:
    from skipstone.programs.explanation import Explanation as Explanation
    from skipstone.programs.explanation import explain as explain

__all__ = ["Explanation", "explain", "explaining", "install", "uninstall"]


def __getattr__(name: str) -> object:
    if name in ("Explanation", "explain"):
        return getattr(import_module("skipstone.programs.explanation"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
