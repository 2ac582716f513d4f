"""What a branch does to a shape, found by running it without data, and the shortcut that does the same."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.steps import build
from skipstone.shapes.arithmetic import FloorMap, SizeError
from skipstone.shapes.reconcile import Shape, named, reconcile

_PROBES = 17  # sizes tried in a row: enough to tell any stride up to 8 from its neighbours


def branch_shape(branch: nn.Module, source: Shape) -> Shape:
    """What a branch makes of a (N, *source) tensor, without the batch axis; found on the meta device."""
    return _run(deepcopy(branch).to("meta"), source)


def branch_maps(branch: nn.Module, source: Shape) -> tuple[FloorMap | None, ...]:
    """The size map of each spatial axis, read off the branch at sizes from the example's up.

    None for an axis whose sizes are no floor map of stride up to 8; all None where the branch takes one size only.
    """
    probe = deepcopy(branch).to("meta")
    channels, *sizes = source
    outputs: list[Shape] = []
    for more in range(_PROBES if sizes else 0):
        try:
            outputs.append(_run(probe, (channels, *(size + more for size in sizes)))[1:])
        except RuntimeError:  # torch's word for a size that does not fit: the branch is made for fewer sizes
            return (None,) * len(sizes)
    if any(len(output) != len(sizes) for output in outputs):
        return (None,) * len(sizes)
    return tuple(_floor_map(size, [output[axis] for output in outputs]) for axis, size in enumerate(sizes))


def fitted_shortcut(branch: nn.Module, example: Shape, plan: str = "auto", *, keep_channels: bool = False) -> nn.Module:
    """The shortcut that gives a (N, *example) tensor the branch's shape, at every size where there is one that does.

    `plan` names one of the planner's plans or a design's slug; "auto" takes the first. With `keep_channels` only the
    sizes are matched. `SizeError` where no plan fits.
    """
    target = branch_shape(branch, example)
    if keep_channels:
        target = (example[0], *target[1:])
    plans = reconcile(example, target, branch_maps(branch, example))
    return build(plans[0] if plan == "auto" and plans else named(plans, plan))


def _run(probe: nn.Module, source: Shape) -> Shape:
    with torch.no_grad():
        result = probe(torch.empty(2, *source, device="meta"))
    if not isinstance(result, Tensor):
        raise SizeError(f"a branch must return one tensor, not {type(result).__name__}")
    return tuple(result.shape[1:])


def _floor_map(first: int, made: list[int]) -> FloorMap | None:
    """The map with made[i] == (first + i + shift) // stride for all i."""
    for stride in range(1, _PROBES // 2 + 1):
        for rest in range(stride):
            found = FloorMap(stride, stride * made[0] + rest - first)
            if all(found(first + i) == size for i, size in enumerate(made)):
                return found
    return None
