"""What is written of a gradient's way through a network, and what it means, in words and drawings. No torch."""

from skipstone.runs.flow.decay import Decay, fit_decay
from skipstone.runs.flow.record import FlowRecord, LayerFlow, LayerKind, Reuse, SkipFlow
from skipstone.runs.flow.scalars import scalars_of
from skipstone.runs.flow.verdicts import THRESHOLDS, Verdict, verdicts

__all__ = [
    "THRESHOLDS",
    "Decay",
    "FlowRecord",
    "LayerFlow",
    "LayerKind",
    "Reuse",
    "SkipFlow",
    "Verdict",
    "fit_decay",
    "scalars_of",
    "verdicts",
]
