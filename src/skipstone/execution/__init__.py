"""The second witness: the network really run, small, on a copy, where that is cheap. The record is the first."""

from skipstone.execution.held import Key
from skipstone.execution.passes import Pass, Raised, execute
from skipstone.execution.planning import NotRun, Plan, Run, forward_seconds, plan
from skipstone.execution.sketches import keeps_apart, sketch
from skipstone.execution.stream import Step, Stream, parting
from skipstone.execution.values import is_of_values, is_out_of_range
from skipstone.execution.witness import Twice, Witness

__all__ = [
    "Key", "NotRun", "Pass", "Plan", "Raised", "Run", "Step", "Stream", "Twice", "Witness", "execute",
    "forward_seconds", "is_of_values", "is_out_of_range", "keeps_apart", "parting", "plan", "sketch",
]  # fmt: skip
