"""Graph -> skips, classified."""

from skipstone.skips.find import find_skips

__all__ = ["find_skips"]
