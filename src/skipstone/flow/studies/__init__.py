"""Measurements for studies, not for every run: each says what it costs and which decision it informs."""

from skipstone.flow.studies.autocorrelation import autocorrelation, gradient_autocorrelation
from skipstone.flow.studies.isometry import singular_values
from skipstone.flow.studies.landscape import filter_normalised, loss_slice
from skipstone.flow.studies.paths import path_lengths, path_moments

__all__ = [
    "autocorrelation",
    "filter_normalised",
    "gradient_autocorrelation",
    "loss_slice",
    "path_lengths",
    "path_moments",
    "singular_values",
]
