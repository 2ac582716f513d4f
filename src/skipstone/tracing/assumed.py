"""What a pass goes on with behind a refused operation: tensors of an assumed shape, made from its operands."""

from collections.abc import Sequence
from typing import Any

import torch

from skipstone.core.errors import SkipstoneError
from skipstone.tracing.guards import Shapes
from skipstone.tracing.torch_internals import no_torch_function


class _Assumed(torch.autograd.Function):
    """A tensor of an assumed shape that autograd still sees as made from the operands."""

    @staticmethod
    def forward(ctx, like, shape, *operands):  # type: ignore[no-untyped-def]
        return like.new_empty(shape)

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        raise SkipstoneError("a recorded pass has no backward behind an operation that torch refused")


def assumed(shapes: Shapes, operands_: Sequence[torch.Tensor]) -> Any:
    """Tensors of the given shapes, which autograd sees as made from the operands; None for None."""
    if shapes is None:
        return None
    if any(not isinstance(size, int | torch.SymInt) for size in shapes):
        return tuple(assumed(shape, operands_) for shape in shapes)  # type: ignore[arg-type]
    like = next((t for t in operands_ if t.dtype.is_floating_point), operands_[0])
    with no_torch_function():
        return _Assumed.apply(like, shapes, *operands_)  # type: ignore[no-untyped-call]
