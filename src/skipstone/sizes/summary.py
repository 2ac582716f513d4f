"""What the legal sizes say about one concrete input: for each axis that matters a rule and the nearest legal sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from skipstone.core.finding import SizeSummary
from skipstone.core.sizes import in_rows, in_words
from skipstone.execution import Run
from skipstone.sizes.allowance import Allowance
from skipstone.sizes.confirm import Question, confirm
from skipstone.sizes.explore import Exploration, explore
from skipstone.sizes.request import Pattern, Request
from skipstone.sizes.rule import describe
from skipstone.tracing.example import Example, parse_example
from skipstone.tracing.nests import map_leaves, tensors_in

_SECONDS = 4.0
_REACH = 1024  # sizes are looked at up to this, or to twice the size asked
_NEAREST = 2
_TOLD = 6  # sizes that were run, or rows of them, that a line has room for

Group = tuple[tuple[int, int], ...]  # (number of the input, axis) of the axes that change together


def summaries(
    model: nn.Module, example: object, *, seconds: float = _SECONDS, run: Run = False, budget: float = 0.5
) -> tuple[SizeSummary, ...]:
    """The legal sizes of each axis of `example` that matters, with the nearest ones to the size it has.

    Axes of one size that are spatial by their place (height and width) are taken together. An axis matters where some
    sizes are legal or run by broadcasting, and not all are; an axis that only its present size suits (the channels)
    does not. The search goes outward from the present size and ends after `seconds`, reckoned as for `legal_sizes`.
    With `run`, what torch refuses in real runs at the edges is taken away.

    Raises:
        ExampleError: an example of no known form.
    """
    parsed = parse_example(example)
    tensors = list(tensors_in((parsed.args, tuple(parsed.kwargs.values()))))
    allowance = Allowance(seconds)
    found: list[SizeSummary] = []
    correct = partial(confirm, run=run, budget=budget)
    for alternatives in _plans(tensors):
        for groups in alternatives:
            told = [
                _summary(model, parsed, tensors, name, g, allowance.part(1 / (len(groups) - k)), correct)
                for k, (name, g) in enumerate(groups)
            ]
            found = [summary for summary, _ in told if summary is not None]
            if found or allowance.over or all(alike for _, alike in told):
                return tuple(found)
    return tuple(found)


def _plans(tensors: Sequence[torch.Tensor]) -> Iterator[list[list[tuple[str, Group]]]]:
    """Which axes to free: the last ones of a map first (channels before places), then those of channels-last maps."""
    lead = max(tensors, key=lambda t: (t.dim() >= 3, t.dim() == 2), default=None)
    if lead is None or lead.dim() not in (2, 3, 4, 5):
        return
    if lead.dim() in (4, 5):
        yield [_grouped(tensors, lead, range(2, lead.dim())), _grouped(tensors, lead, range(1, lead.dim() - 1))]
    elif lead.dim() == 3:
        yield [[("h", _alike(tensors, lead, 2))], [("h", _alike(tensors, lead, 1))]]
    else:
        yield [[("h", _alike(tensors, lead, 1))]]


def _grouped(tensors: Sequence[torch.Tensor], lead: torch.Tensor, axes: range) -> list[tuple[str, Group]]:
    names = "dhw"[-len(axes) :]
    groups: dict[int, tuple[str, Group]] = {}
    for name, axis in zip(names, axes, strict=True):
        size = lead.shape[axis]
        known = groups.get(size)
        groups[size] = (
            (known[0], known[1] + _alike(tensors, lead, axis)) if known else (name, _alike(tensors, lead, axis))
        )
    return list(groups.values())


def _alike(tensors: Sequence[torch.Tensor], lead: torch.Tensor, axis: int) -> Group:
    """The axis in every input of the same rank that has the same size there."""
    return tuple(
        (k, axis) for k, t in enumerate(tensors) if t.dim() == lead.dim() and t.shape[axis] == lead.shape[axis]
    )


def _summary(
    model: nn.Module, example: Example, tensors: Sequence[torch.Tensor], name: str, group: Group,
    allowance: Allowance, confirmed: Callable[..., None],
) -> tuple[SizeSummary | None, bool]:  # fmt: skip
    """With it, whether every size is refused in one way: then another axis is to blame no more than this one."""
    number, axis = group[0]
    asked = int(tensors[number].shape[axis])
    sizes = np.arange(1, max(_REACH, 2 * asked) + 1, dtype=np.int64)
    request = _request(example.args, example.kwargs, name, group, sizes.tolist())
    found = explore(model, request, {name: sizes}, allowance, first=asked - 1)
    confirmed(Question(model, request, {name: sizes}, first=asked - 1), found, allowance=allowance)
    low, high = _known_around(found, asked - 1)
    inside = slice(low, high + 1)
    checked = frozenset(sizes[inside].tolist())
    legal = frozenset(sizes[inside][found.legal[inside]].tolist())
    broadcast = frozenset(sizes[inside][found.broadcast[inside]].tolist())
    if not (legal - {asked} or broadcast) or legal == checked:
        return None, found.refused_alike
    ran = sizes[sorted(found.ran)].tolist()
    nearest = tuple(sorted(sorted(legal, key=lambda h: (abs(h - asked), -h))[:_NEAREST]))
    summary = SizeSummary(
        name, asked, describe(legal, checked, name), nearest,
        describe(broadcast, checked, name) if broadcast else "",
        f"checked {min(checked)}..{max(checked)}{_run_at(ran)}",
    )  # fmt: skip
    return summary, False


def _run_at(sizes: Sequence[int]) -> str:
    """`, run at 8, 10 and 1024`; of many sizes, how many."""
    rows = in_rows(sizes)
    told = (
        in_words(rows) if 0 < len(rows) <= _TOLD else f"{len(sizes)} of them, {sizes[0]} to {sizes[-1]}" if rows else ""
    )
    return f", run at {told}" if told else ""


def _known_around(found: Exploration, start: int) -> tuple[int, int]:
    """The unbroken stretch of known points around `start`."""
    low = high = start
    while low > 0 and found.known[low - 1]:
        low -= 1
    while high + 1 < len(found.known) and found.known[high + 1]:
        high += 1
    return low, high


def _request(
    args: Sequence[object], kwargs: Mapping[str, object], name: str, group: Group, sizes: list[int]
) -> Request:
    """The example with the axes of `group` free."""
    free: dict[int, set[int]] = {}
    for number, axis in group:
        free.setdefault(number, set()).add(axis)
    counter = iter(range(1 << 30))

    def pattern(tensor: torch.Tensor) -> Pattern:
        axes = free.get(next(counter), set())
        return Pattern(tuple(name if i in axes else int(s) for i, s in enumerate(tensor.shape)), tensor)

    found: Any = map_leaves((tuple(args), dict(kwargs)), torch.Tensor, pattern)
    return Request(found[0], found[1], {name: sizes})
