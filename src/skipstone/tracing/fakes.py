"""Fake tensors made from a model's own: the same form, no data."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from skipstone.tracing.torch_internals import (
    FakeTensor,
    FakeTensorMode,
    mark_parameter,
    no_torch_function,
    unset_fake_temporarily,
)

CPU = torch.device("cpu")


def unsized(lazy: torch.Tensor, ready: Callable[[torch.Tensor], None]) -> torch.Tensor:
    """A parameter or buffer without a size that, once given one, hands over a tensor on the meta device."""
    kind: Any = UninitializedParameter if isinstance(lazy, UninitializedParameter) else UninitializedBuffer

    class Unsized(kind):  # type: ignore[misc]
        def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
            with no_torch_function(), unset_fake_temporarily():
                meta = torch.empty(shape, dtype=dtype or lazy.dtype, device="meta")
                ready(nn.Parameter(meta, lazy.requires_grad) if kind is UninitializedParameter else meta)

    return Unsized(lazy.requires_grad, device="meta", dtype=lazy.dtype)


def fake_tensor(tensor: torch.Tensor, fake: FakeTensorMode, home: torch.device = CPU) -> torch.Tensor:
    """A fake tensor of the same shape, strides, dtype, device and `requires_grad`; a parameter stays a parameter.

    One on the meta device is taken to be at `home`.
    """
    device = home if tensor.device.type == "meta" else tensor.device
    if tensor.layout != torch.strided or type(tensor) not in (torch.Tensor, nn.Parameter, nn.Buffer, FakeTensor):
        return fake.from_tensor(tensor, static_shapes=True)
    with unset_fake_temporarily():  # torch 2.6 would make a fake tensor of it, which can't be made one again
        meta = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    twin = FakeTensor(fake, meta, device)
    if tensor.requires_grad:
        twin.requires_grad_(True)
    if isinstance(tensor, nn.Parameter):
        mark_parameter(twin)
    return twin


def is_mere_shape(tensor: torch.Tensor) -> bool:
    """Does an example's tensor stand for a shape alone? Shapes are parsed to float32 on the meta device."""
    return tensor.device.type == "meta" and tensor.dtype == torch.float32


def own_precision(model: nn.Module) -> torch.Tensor | None:
    """The first floating-point weight, whose dtype and device a mere shape takes; None where there is none."""
    return next((p for p in model.parameters() if p.dtype.is_floating_point and not is_lazy(p)), None)
