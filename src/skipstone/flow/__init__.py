"""Gradient flow: how large each layer's gradient and weights are, and which updates floats cannot hold."""

from skipstone.flow.layers import Layer, find_layers
from skipstone.flow.measure import gradient_flow, watch
from skipstone.flow.norms import lost_updates, norms
from skipstone.flow.probe import Probe
from skipstone.flow.rounding import FORMATS, Format, UpdateExample, is_lost, largest_movable, threshold, update_example

__all__ = [
    "FORMATS",
    "Format",
    "Layer",
    "Probe",
    "UpdateExample",
    "find_layers",
    "gradient_flow",
    "is_lost",
    "largest_movable",
    "lost_updates",
    "norms",
    "threshold",
    "update_example",
    "watch",
]
