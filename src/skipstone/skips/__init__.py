"""Graph -> skips, classified."""

from skipstone.skips.ancestry import Ancestry
from skipstone.skips.find import find_skips

__all__ = ["Ancestry", "find_skips"]
