"""Many small tensors as a few long ones, so that what a step did is read by few operations and not by a few a layer."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from skipstone.flow.norms import Number

_LONG = 1 << 18  # elements: what is read again and again is still in a core's own cache


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


def counts(flags: Tensor, sizes: Sequence[int]) -> list[Number]:
    """How many of each part's flags are set: (sum of sizes,) bool -> (parts,), off the CPU without waiting for it."""
    if flags.device.type == "cpu":  # NumPy counts the flags of a small layer in half the time
        return [float(np.count_nonzero(part.numpy())) for part in torch.split(flags, list(sizes))]
    return differences(flags, sizes)


def differences(flags: Tensor, sizes: Sequence[int]) -> list[Number]:
    """The same by a running count of all flags, few operations however many parts there are."""
    running = nn.functional.pad(flags.cumsum(0), (1, 0))
    ends = torch.stack([running[end] for end in accumulate(sizes, initial=0)])
    return list(ends.diff().double().unbind())
