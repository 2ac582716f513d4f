"""Edit + Module -> Module; Edit -> source diff; skips taken out, put in, and compared."""

from skipstone.surgery.ablation import AblationPlan, Which, ablate, plan_ablation, select
from skipstone.surgery.apply import apply, preview, revert
from skipstone.surgery.comparing import Change, SkipDiff, diff
from skipstone.surgery.connecting import Connection, ConnectionPlan, connect, plan_connection
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.patch import edited_sources, encoding_of, source_diff, why_not
from skipstone.surgery.site import site_of
from skipstone.surgery.suggestion import suggestion

__all__ = [
    "AblationPlan",
    "Change",
    "Connection",
    "ConnectionPlan",
    "SkipDiff",
    "SurgeryError",
    "SurgeryWarning",
    "Which",
    "ablate",
    "apply",
    "connect",
    "diff",
    "edited_sources",
    "encoding_of",
    "plan_ablation",
    "plan_connection",
    "preview",
    "revert",
    "select",
    "site_of",
    "source_diff",
    "suggestion",
    "why_not",
]
