"""Modules that a forward moves (`self.expert.to(x.device)`): the twins stay, and take the new precision."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from skipstone.tracing.clone import FakeClone
from skipstone.tracing.guards import REFUSALS
from skipstone.tracing.torch_internals import buffers_of, children_of, no_torch_function, parameters_of

Convert = Callable[[torch.Tensor], torch.Tensor]
_MOVE = "_apply"  # what `to`, `half`, `cuda`, `double` and `to_empty` all call


def let_move(module: nn.Module, clone: FakeClone) -> None:
    """Answer `to`, `half`, `cuda` and their like on a twin: torch's own way swaps the data of parameters, of which a
    twin's have none."""

    def apply(convert: Convert, recurse: bool = True) -> nn.Module:
        for child in children_of(module).values() if recurse else ():
            move = child.__dict__.get(_MOVE) if child is not None else None
            if move is not None:
                move(convert)
        tables: tuple[dict[str, Any], ...] = (parameters_of(module), buffers_of(module))
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None and (dtype := _asked(convert, tensor.dtype)) != tensor.dtype:
                    with no_torch_function():  # no operation of the network's
                        table[name] = clone.cast(tensor, dtype)
        return module

    module.__dict__[_MOVE] = apply


def _asked(convert: Convert, dtype: torch.dtype) -> torch.dtype:
    """The dtype that a conversion gives to tensors of this one; as it was where there is no such device here."""
    with no_torch_function():
        try:
            return convert(torch.empty(0, dtype=dtype)).dtype
        except REFUSALS:
            return dtype
