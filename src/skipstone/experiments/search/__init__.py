"""A search: trials on the validation images alone, then the best of them against the default over fresh seeds."""

from skipstone.experiments.search.records import Finalist, Found, read_found
from skipstone.experiments.search.searching import search
from skipstone.experiments.search.space import Factor, default_space, parse_factor

__all__ = ["Factor", "Finalist", "Found", "default_space", "parse_factor", "read_found", "search"]
