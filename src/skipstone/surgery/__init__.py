"""Edit + Module -> Module; Edit -> source diff."""

from skipstone.surgery.apply import apply, preview
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.patch import edited_sources, source_diff, why_not
from skipstone.surgery.site import site_of
from skipstone.surgery.suggestion import suggestion

__all__ = [
    "SurgeryError",
    "SurgeryWarning",
    "apply",
    "edited_sources",
    "preview",
    "site_of",
    "source_diff",
    "suggestion",
    "why_not",
]
