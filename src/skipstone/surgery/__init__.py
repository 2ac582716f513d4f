"""Edit + Module -> Module; Edit -> source diff."""

from skipstone.surgery.apply import apply, preview
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.site import site_of
from skipstone.surgery.suggestion import suggestion

__all__ = ["SurgeryError", "SurgeryWarning", "apply", "preview", "site_of", "suggestion"]
