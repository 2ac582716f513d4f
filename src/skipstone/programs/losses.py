"""Losses given shapes that do not belong together: refused with a puzzling sentence, or broadcast in silence.

A mean squared error of outputs (N, 1) and targets (N,) compares every output with every target: N x N differences, no
error, and a network that learns the targets' mean.
"""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

import torch
from torch import nn

from skipstone.core.graph import shape_text
from skipstone.programs.frames import module_of, own_place

# Losses that compare outputs and targets element by element, and would broadcast one to the other.
ELEMENTWISE = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "soft_margin_loss",
    "poisson_nll_loss",
    "kl_div",
)
# Losses of class scores (N, C, ...) against class numbers (N, ...).
CLASSES = ("cross_entropy", "nll_loss")
# Loss modules, and the functions they stand for.
MODULES: dict[type, str] = {
    nn.MSELoss: "mse_loss",
    nn.L1Loss: "l1_loss",
    nn.SmoothL1Loss: "smooth_l1_loss",
    nn.HuberLoss: "huber_loss",
    nn.BCELoss: "binary_cross_entropy",
    nn.BCEWithLogitsLoss: "binary_cross_entropy_with_logits",
    nn.SoftMarginLoss: "soft_margin_loss",
    nn.PoissonNLLLoss: "poisson_nll_loss",
    nn.KLDivLoss: "kl_div",
    nn.CrossEntropyLoss: "cross_entropy",
    nn.NLLLoss: "nll_loss",
}


@dataclass(frozen=True, slots=True)
class LossFault:
    """What a loss was given, what would be right, and where: `place` is the user's line, "" where it is not known."""

    loss: str
    outputs: tuple[int, ...]
    targets: tuple[int, ...]
    advice: str
    place: str

    @property
    def title(self) -> str:
        """The loss, its place and the two shapes."""
        at = f" at {self.place}" if self.place else ""
        return f"{self.loss}{at} was given outputs {shape_text(self.outputs)} and targets {shape_text(self.targets)}"

    def __str__(self) -> str:
        return f"  {self.advice}"


def loss_fault_of(error: BaseException) -> LossFault | None:
    """The fault of the loss function that an error came out of; None where no loss stands in its traceback."""
    return _fault_in(list(traceback.walk_tb(error.__traceback__)))


def fault_in_stack(loss: str = "", outputs: object = None, targets: object = None) -> LossFault | None:
    """The fault of a loss about to be called with these, or of the loss function that is running now."""
    stack = list(traceback.walk_stack(sys._getframe(1)))[::-1]
    if not loss:
        return _fault_in(stack)
    if not (isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor)):
        return None
    return fault(loss, outputs, targets, own_place(stack))


def _fault_in(stack: Sequence[tuple[FrameType, int]]) -> LossFault | None:
    """The fault of the outermost loss function among these frames, which come outermost first."""
    for number, (frame, _) in enumerate(stack):
        name = frame.f_code.co_name
        if module_of(frame) == "torch.nn.functional" and name in (*ELEMENTWISE, *CLASSES):
            outputs, targets = frame.f_locals.get("input"), frame.f_locals.get("target")
            if isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor):
                return fault(name, outputs, targets, own_place(stack[:number]))
    return None


def fault(loss: str, outputs: torch.Tensor, targets: torch.Tensor, place: str = "") -> LossFault | None:
    """What is wrong with a loss's two tensors, None where their shapes and dtypes belong together."""
    advice = _classes(outputs, targets) if loss in CLASSES else _elementwise(outputs, targets)
    return LossFault(loss, tuple(outputs.shape), tuple(targets.shape), advice, place) if advice else None


def _elementwise(outputs: torch.Tensor, targets: torch.Tensor) -> str:
    if outputs.shape == targets.shape:
        return ""
    try:
        met = torch.broadcast_shapes(outputs.shape, targets.shape)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return f"both must have one shape: {_reshaping(outputs, targets) or 'the network gives another size'}"
    words = f"broadcast against each other they make {'x'.join(map(str, met))} terms"
    return f"{words}; {_reshaping(outputs, targets) or 'both must have one shape'}"


def _reshaping(outputs: torch.Tensor, targets: torch.Tensor) -> str:
    """The view that gives the targets, or the outputs, the other's shape, where it only moves axes of size 1."""
    if outputs.numel() != targets.numel():
        return ""
    if outputs.dim() == targets.dim() + 1 and outputs.shape[-1] == 1:
        return "write `outputs.squeeze(-1)` or `targets.unsqueeze(-1)`"
    if targets.dim() == outputs.dim() + 1 and targets.shape[-1] == 1:
        return "write `targets.squeeze(-1)` or `outputs.unsqueeze(-1)`"
    return "write `targets.view_as(outputs)`"


def _classes(outputs: torch.Tensor, targets: torch.Tensor) -> str:
    shape = tuple(outputs.shape)
    wanted = (shape[0], *shape[2:]) if outputs.dim() > 1 else ()
    given = tuple(targets.shape)
    if given == wanted:
        if targets.dtype not in (torch.int64, torch.uint8):
            kind = str(targets.dtype).removeprefix("torch.")
            return f"class numbers must be whole numbers (int64), these are {kind}: write `targets.long()`"
        return _range(outputs, targets)
    if given == shape:
        if targets.is_floating_point():
            return ""
        return "targets of the outputs' shape are read as probabilities and must be floats: `targets.float()`"
    if given == (*wanted, 1):
        return "class numbers come without an axis of size 1: write `targets.squeeze(-1)`"
    if given[1:] == wanted[1:] and given[:1] != wanted[:1]:
        return _rows(shape, given)
    return f"for outputs {shape_text(shape)} the class numbers have the shape {shape_text(wanted) or 'of one number'}"


def _rows(shape: tuple[int, ...], given: tuple[int, ...]) -> str:
    rows, targets = shape[0], given[0] if given else 0
    if targets and rows % targets == 0:
        return f"{targets} samples became {rows} rows of outputs: a view or reshape in the network splits each sample"
    if rows and targets % rows == 0:
        return f"{targets} samples became {rows} rows of outputs: a view or reshape in the network joins samples"
    return f"{rows} rows of outputs meet {targets} targets"


def _range(outputs: torch.Tensor, targets: torch.Tensor) -> str:
    classes = outputs.shape[1] if outputs.dim() > 1 else outputs.shape[0]
    if targets.numel() == 0 or targets.is_meta:
        return ""
    low, high = int(targets.min()), int(targets[targets != -100].max()) if (targets != -100).any() else 0
    if high >= classes:
        return f"a target is {high}, and {classes} outputs stand for the classes 0 to {classes - 1}"
    return f"a target is {low}; classes count from 0" if low < 0 and low != -100 else ""
