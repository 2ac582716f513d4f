"""Many small tensors as a few long ones, so that what a step did is read by few operations and not by a few a layer."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

_LONG = 1 << 20  # elements: beyond it an operation's own cost is nothing beside reading them


def buckets(tensors: Sequence[Tensor], kinds: Sequence[Hashable]) -> Iterator[list[int]]:
    """The places of tensors that may be joined: of one dtype, device and kind, together not long unless alone."""
    filling: dict[Hashable, tuple[list[int], int]] = {}
    for place, (tensor, kind) in enumerate(zip(tensors, kinds, strict=True)):
        key, size = (tensor.dtype, tensor.device, kind), tensor.numel()
        held, length = filling.get(key, ([], 0))
        if held and length + size > _LONG:
            yield held
            held, length = [], 0
        filling[key] = [*held, place], length + size
    yield from (held for held, _ in filling.values())


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """A copy of all elements, in order, (sum of sizes,); sparse tensors as dense ones."""
    dense = (tensor if tensor.layout is torch.strided else tensor.to_dense() for tensor in tensors)
    return torch.cat([tensor.detach().reshape(-1) for tensor in dense])


def counts(flags: Tensor, sizes: Sequence[int]) -> Tensor:
    """How many of each part's flags are set: (sum of sizes,) bool -> (parts,) int64, on the flags' device."""
    parts = torch.split(flags, list(sizes))
    if flags.device.type == "cpu":  # NumPy counts the flags of a small layer in half the time
        return torch.tensor([np.count_nonzero(part.numpy()) for part in parts])
    return torch.stack([part.count_nonzero() for part in parts])
