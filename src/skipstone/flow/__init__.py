"""Gradient flow: what reaches each layer, what the optimizer's step changes, what each skip contributes."""

from skipstone.flow.layers import Layer, find_layers
from skipstone.flow.measure import flow_of, gradient_flow
from skipstone.flow.norms import lost_updates, norms, underflow, unmoved
from skipstone.flow.probe import Probe
from skipstone.flow.rounding import (
    FORMATS,
    Format,
    UpdateExample,
    is_lost,
    largest_movable,
    round_stochastically,
    threshold,
    update_example,
)
from skipstone.flow.watching import Watch, watch

__all__ = [
    "FORMATS",
    "Format",
    "Layer",
    "Probe",
    "UpdateExample",
    "Watch",
    "find_layers",
    "flow_of",
    "gradient_flow",
    "is_lost",
    "largest_movable",
    "lost_updates",
    "norms",
    "round_stochastically",
    "threshold",
    "underflow",
    "unmoved",
    "update_example",
    "watch",
]
