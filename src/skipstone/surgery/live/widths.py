"""Layers made to read fewer or more input channels, for concatenations that lose or gain an operand."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skipstone.core.edit import NarrowInput, WidenInput
from skipstone.surgery.errors import SurgeryError
from skipstone.tracing.torch_internals import CONVS, NORMS

_PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


def input_channels(module: nn.Module) -> int | None:
    """How many input channels a layer reads, where it is one that can be narrowed and widened."""
    if isinstance(module, CONVS) and module.groups == 1:
        return module.in_channels
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, NORMS):
        return int(module.num_features)
    return module.num_channels if isinstance(module, nn.GroupNorm) else None


def channels_at_a_time(module: nn.Module) -> int:
    """How many input channels can only go or come together: a group norm takes the mean of each of its groups."""
    return module.num_channels // module.num_groups if isinstance(module, nn.GroupNorm) else 1


def narrow(module: nn.Module, edit: NarrowInput, *, weightless: bool = False) -> None:
    """Carry out a `NarrowInput`: the other channels' weights are dropped. `weightless`: the rest are on "meta"."""
    width = _width(module, edit.module)
    if not edit.ranges or any(not 0 <= start < stop <= width for start, stop in edit.ranges):
        raise SurgeryError(f"{edit.module} reads channels 0 to {width}; ranges {edit.ranges} do not lie within them")
    together = channels_at_a_time(module)
    if any(bound % together for kept in edit.ranges for bound in kept):
        raise SurgeryError(f"{edit.module} normalises {together} channels together; ranges {edit.ranges} split a group")
    keep = torch.cat([torch.arange(start, stop, device="cpu") for start, stop in edit.ranges])

    def fewer(tensor: Tensor, axis: int) -> Tensor:
        return tensor.index_select(axis, keep.to(tensor.device))

    _resize(module, len(keep), fewer, weightless)


def widen(module: nn.Module, edit: WidenInput, *, weightless: bool = False) -> None:
    """Carry out a `WidenInput`; `weightless` puts the changed weights on the meta device."""
    width = _width(module, edit.module)
    together = channels_at_a_time(module)
    if edit.count < 1 or edit.count % together:
        least = "1 channel or more" if together == 1 else f"groups of {together} channels"
        raise SurgeryError(f"{edit.module} can be widened by {least}, not by {edit.count}")

    def more(tensor: Tensor, axis: int) -> Tensor:
        shape = list(tensor.shape)
        shape[axis] = edit.count
        new = tensor.new_zeros(shape)
        if edit.at_init == "plain" and tensor.dim() > 1 and tensor.numel() and not tensor.is_meta:
            bound = float(tensor.abs().max())
            new.uniform_(-bound, bound)
        if tensor.dim() == 1 and (
            tensor is getattr(module, "weight", None) or tensor is getattr(module, "running_var", None)
        ):
            new.fill_(1)
        return torch.cat((tensor, new), axis)

    _resize(module, width + edit.count, more, weightless)


def _width(module: nn.Module, path: str) -> int:
    width = input_channels(module)
    if width is None:
        raise SurgeryError(
            f"{path} ({type(module).__name__}) cannot read fewer or more channels; "
            "convolutions without groups, linear layers and batch, instance and group norms can"
        )
    return width


def _resize(module: nn.Module, width: int, change: Callable[[Tensor, int], Tensor], weightless: bool) -> None:
    with torch.no_grad():
        if isinstance(module, nn.GroupNorm):
            names: Sequence[str] = _PER_CHANNEL
            axis = 0
            module.num_groups = width // channels_at_a_time(module)
            module.num_channels = width
        elif isinstance(module, NORMS):
            names = _PER_CHANNEL
            axis = 0
            module.num_features = width
        else:
            names = ("weight",)
            axis = 0 if getattr(module, "transposed", False) else 1
            setattr(module, "in_features" if isinstance(module, nn.Linear) else "in_channels", width)
        for name in names:
            tensor = getattr(module, name, None)
            if isinstance(tensor, Tensor) and weightless:
                setattr(module, name, _on_meta(tensor))
                tensor = getattr(module, name)
            if isinstance(tensor, nn.Parameter):
                setattr(module, name, nn.Parameter(change(tensor, axis), tensor.requires_grad))
            elif isinstance(tensor, Tensor):
                setattr(module, name, change(tensor, axis))


def _on_meta(tensor: Tensor) -> Tensor:
    meta = tensor.detach().to("meta")
    return nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta
