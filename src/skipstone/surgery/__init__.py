"""Edit + Module -> Module; Edit -> source diff; skips taken out, put in, and compared."""

from skipstone.surgery.difference import Change, SkipDiff, diff
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.live.apply import apply, preview, revert
from skipstone.surgery.plans.ablate import AblationPlan, Which, ablate, plan_ablation, select
from skipstone.surgery.plans.connect import Connection, ConnectionPlan, connect, plan_connection
from skipstone.surgery.site import alike, site_of, site_of_call
from skipstone.surgery.source.patch import source_changes, source_diff, why_not
from skipstone.surgery.source.words import suggestion

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
    "alike",
    "apply",
    "connect",
    "diff",
    "plan_ablation",
    "plan_connection",
    "preview",
    "revert",
    "select",
    "site_of",
    "site_of_call",
    "source_changes",
    "source_diff",
    "suggestion",
    "why_not",
]
