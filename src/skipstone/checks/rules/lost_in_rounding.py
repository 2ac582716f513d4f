"""Lost in rounding: a branch too small to change a half-precision stream.

What it finds:
    A residual sum in bfloat16 or float16 whose branch is scaled by a parameter (or number) so small that the sum
    rounds back to the shortcut unless the branch is hundreds of times larger than it.
Why it matters:
    In bfloat16 `x + F` equals x wherever |F| <= 2^-9 |x|: a LayerScale of 1e-6 makes the block an exact identity, and
    its branch gets no say until the scale has grown; in float16 the bound is 2^-12.
Example:
    LayerScale initialised to 1e-6 in a network cast to bfloat16.
Repair:
    The stream in float32 (autocast keeps the weights' precision), or a larger initial scale.
Effect of the repair:
    A float32 stream doubles its activation bytes; a larger scale starts further from the identity.
References:
    Touvron et al. 2021, CaiT, 2103.17239, section 2 (LayerScale); IEEE 754, round to nearest even.
"""

from collections.abc import Iterator, Mapping

import torch

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.skip import Skip
from skipstone.graphs.roles import TRANSPARENT

RULE = Rule("SK304", "lost-in-rounding", "note", "a branch too small to change a half-precision stream")
# Half the distance to the next number, relative to x, at its smallest: |F| below it is lost for every x.
LOST_BELOW: Mapping[str, float] = {"bfloat16": 2.0**-9, "float16": 2.0**-12}
_TOLD_FROM = 100.0  # times larger than the shortcut the branch would have to be


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    found: list[tuple[float, Skip]] = []
    for skip in subject.skips:
        bound = LOST_BELOW.get(graph[skip.merge_node].spec.dtype)
        if bound is None or skip.kind != "identity" or skip.merge != "add" or graph[skip.merge_node].tainted:
            continue
        scale = _scale(subject, skip)
        if scale is not None and scale > 0 and bound / scale >= _TOLD_FROM:
            found.append((bound / scale, skip))
    if found:
        ratio, skip = min(found, key=lambda pair: pair[0])
        merge = graph[skip.merge_node]
        more = f", as in {len(found) - 1} more" if len(found) > 1 else ""
        message = (
            f"in {merge.spec.dtype} the sum is the shortcut itself wherever the branch, before its scale, is less than "
            f"{ratio:,.0f} times as large{more}"
        )
        yield Fault(at(merge), message, met(graph, merge))


def _scale(subject: Subject, skip: Skip) -> float | None:
    """The largest factor by which the end of the branch is scaled; None where there is none of known value."""
    graph = subject.graph
    product = None
    for index in reversed(skip.main):
        node = graph[index]
        if node.op == "mul":
            factor = _value(subject, index)
            if factor is not None:
                product = factor * (1.0 if product is None else product)
        elif node.op not in TRANSPARENT:
            break
    return product


def _value(subject: Subject, index: int) -> float | None:
    node = subject.graph[index]
    number = node.arguments.get("other")
    if isinstance(number, int | float) and not isinstance(number, bool):
        return abs(float(number))
    for i in node.inputs:
        origin = subject.ancestry.strip(i)
        source = subject.graph[origin]
        if source.kind == "parameter":
            tensor = dict(subject.model.named_parameters()).get(source.name)
            if tensor is not None and tensor.device.type != "meta" and tensor.numel():
                return float(tensor.detach().abs().max().to(torch.float64))
    return None
