"""Edit + Module -> Module; Edit -> source diff; skips taken out, put in, and compared."""

from skipstone.surgery.ablation import AblationPlan, ablate, plan_ablation
from skipstone.surgery.apply import apply, preview, revert
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.patch import edited_sources, source_diff, why_not
from skipstone.surgery.site import site_of
from skipstone.surgery.suggestion import suggestion

__all__ = [
    "AblationPlan",
    "SurgeryError",
    "SurgeryWarning",
    "ablate",
    "apply",
    "edited_sources",
    "plan_ablation",
    "preview",
    "revert",
    "site_of",
    "source_diff",
    "suggestion",
    "why_not",
]
