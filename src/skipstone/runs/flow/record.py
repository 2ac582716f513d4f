"""Gradient flow at one step, as plain data: a line of `flow.jsonl`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from skipstone.core.as_text import pretty_as_text
from skipstone.core.codec import Json, decode, encode

if TYPE_CHECKING:
    from skipstone.runs.flow.verdicts import Verdict

LayerKind = Literal["conv", "linear", "other"]


@dataclass(frozen=True, slots=True)
class LayerFlow:
    """A layer's state at one step.

    `grad_norm` and `weight_norm` are 2-norms of its weight's gradient (0 where none arrived) and of its weight before
    the step; `output_grad_norm` that of the gradient with respect to the layer's output for the whole batch, None
    where it was not watched. `lost_updates` is the share of the weight's elements with a gradient other than zero that
    the optimizer's step left exactly as they were, because the change was below half the distance between neighbouring
    floats; None where no step was taken, or no gradient arrived. Weight decay and momentum are part of a step: a weight
    that they alone move counts as moved.

    `elements` counts the weight's (0: not known), `dtype` is its type. `update_norm` is the 2-norm of what the step
    added to the weight, `unmoved` the share of all its elements that the step left bit for bit as they were; None where
    no step was taken. `output_rms` is the root mean square of the layer's output. `underflow` is the share of the
    output gradient's elements other than zero that lie below the smallest normal number of their dtype, None where
    that was not looked at (float32 and wider formats).
    """

    name: str
    kind: LayerKind
    grad_norm: float
    weight_norm: float
    lost_updates: float | None = None
    output_grad_norm: float | None = None
    elements: int = 0
    dtype: str = ""
    update_norm: float | None = None
    unmoved: float | None = None
    output_rms: float | None = None
    underflow: float | None = None

    @property
    def grad_rms(self) -> float:
        """Root mean square of the weight's gradient; NaN where the number of elements is not known."""
        return self.grad_norm / math.sqrt(self.elements) if self.elements else math.nan

    @property
    def weight_rms(self) -> float:
        """Root mean square of the weight; NaN where the number of elements is not known."""
        return self.weight_norm / math.sqrt(self.elements) if self.elements else math.nan

    @property
    def update_ratio(self) -> float | None:
        """How long the step is beside the weight, ‖Δw‖ / ‖w‖; None without a step, or where the weight is zero."""
        return None if self.update_norm is None or not self.weight_norm else self.update_norm / self.weight_norm


@dataclass(frozen=True, slots=True)
class Reuse:
    """What later layers make of one operand of a concatenation (Huang et al. 2016, 1608.06993, figure 5).

    `source` is the module that made it, `channels` its size along the joined axis. `weight_share` is its part of the
    mean absolute weight, per channel, of the first layer that reads the joined map (1 / operands: all are used alike),
    None where no one layer reads it. `grad_share` is its part of the gradient's squared norm, per channel likewise.
    """

    source: str
    channels: int
    weight_share: float | None
    grad_share: float | None


@dataclass(frozen=True, slots=True)
class SkipFlow:
    """What one skip contributes on one batch. Each number is None where it could not be measured; `note` says why.

    Forward, of the two operands of the addition: `ratio` is ‖branch‖ / ‖shortcut‖, `cosine` the cosine between them,
    `variance_share` Var(branch) / (Var(branch) + Var(shortcut)), `dead` the share of elements where the branch is not
    zero and adding it changes nothing in the sum's dtype, `zero` the share where the branch is exactly zero.

    Backward, of the two gradients that arrive at the skip's source through shortcut and branch: `shortcut_grad` and
    `branch_grad` are their 2-norms, `grad_share` the shortcut's part <s, s + b> / ‖s + b‖² (the branch's is 1 less it;
    one may exceed 1 where they oppose each other), `grad_cosine` the cosine between them.

    `learns` says that some parameter of the branch has a gradient of ordinary size beside its value, so that a branch
    that is small now (LayerScale, zero-gamma, ReZero) can grow. `layers` are the weights on the branch. `reuse` belongs
    to concatenations.
    """

    index: int
    kind: str
    merge: str
    source: str
    target: str
    place: str = ""
    ratio: float | None = None
    cosine: float | None = None
    variance_share: float | None = None
    dead: float | None = None
    zero: float | None = None
    shortcut_grad: float | None = None
    branch_grad: float | None = None
    grad_share: float | None = None
    grad_cosine: float | None = None
    learns: bool | None = None
    dtype: str = ""
    layers: tuple[str, ...] = ()
    reuse: tuple[Reuse, ...] = ()
    note: str = ""

    @property
    def grad_ratio(self) -> float | None:
        """‖gradient through the branch‖ / ‖gradient through the shortcut‖: the `g` of path lengths (C4)."""
        if self.branch_grad is None or not self.shortcut_grad:
            return None
        return self.branch_grad / self.shortcut_grad


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A line of `flow.jsonl`: every layer in the order of the network, at `step` (counted from 0) of `epoch`.

    Epoch 0 is the very first step, on the untrained network; epoch k >= 1 the last step of epoch k. `skips` holds what
    each skip contributes, where that was asked for; `loss` its batch's loss. `frozen` are the weights that require no
    gradient, `not_optimised` those that require one and belong to no watched optimizer. `notes` say what could not be
    measured, and why. Printed, it is a table and what the numbers mean; in a notebook, a drawing as well.
    """

    epoch: int
    step: int
    layers: tuple[LayerFlow, ...]
    skips: tuple[SkipFlow, ...] = ()
    loss: float | None = None
    frozen: tuple[str, ...] = ()
    not_optimised: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdicts(self) -> "tuple[Verdict, ...]":
        """What the numbers mean: see `skipstone.runs.flow.verdicts`."""
        from skipstone.runs.flow.verdicts import verdicts

        return verdicts(self)

    def __str__(self) -> str:
        from skipstone.runs.flow.text import record_text

        return record_text(self)

    _repr_pretty_ = pretty_as_text

    def _repr_html_(self) -> str:
        from skipstone.runs.flow.drawing import flow_html

        return flow_html(self)

    def to_dict(self) -> Json:
        return encode(self)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "FlowRecord":
        return decode(cls, data, where=where)
