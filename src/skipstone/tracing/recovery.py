"""What to go on with after torch refused an operation: the shapes it might have meant, likeliest first.

The recorder takes the first, or the one that a later pass chose because least goes wrong behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch

from skipstone.graphs.operations import SIZED, names

Shape = tuple[int, ...]
_ARITHMETIC = names("broadcasting", "comparing") - {"max"}  # of one tensor, `max` is refused for its axis
_CONVS = names("conv")
_NORMS = names("features first", "features last") & names("norm") | {"prelu"}
_PRODUCTS = frozenset(("matmul", "bmm", "mm"))


@dataclass(frozen=True)
class Refused:
    """A refused call: its name, arguments by name, the tensors among them in order."""

    op: str
    function: Callable[..., object]
    arguments: Mapping[str, object]
    tensors: Sequence[torch.Tensor]
    ages: Sequence[int]  # the node index of each tensor: a larger one was made later


def operands(call: Refused) -> tuple[Shape, ...]:
    """The shapes that met: see `Failure.operands`."""
    shapes = tuple(tuple(tensor.shape) for tensor in call.tensors)
    if call.op in SIZED and shapes:
        return (shapes[0], _requested(call))
    if call.op in _ARITHMETIC or call.op in _CONVS | _PRODUCTS | {"linear"}:
        return shapes[:2]
    if call.op in _NORMS and len(shapes) > 1:
        return shapes[:2]
    return shapes


def candidates(call: Refused) -> list[Shape]:
    """Shapes to assume for the result, likeliest first; empty where nothing sensible can be assumed."""
    for ops, rule in _RULES:
        if call.op in ops:
            found = rule(call)
            return list(dict.fromkeys(tuple(shape) for shape in found))
    return []


def gets_several(args: Sequence[object], error: Exception) -> bool:
    """Do several values stand where an operation wants one tensor? There is no shape to go on with."""
    return isinstance(error, TypeError) and bool(args) and isinstance(args[0], tuple | list)


def _arithmetic(call: Refused) -> list[Shape]:
    """The operand made later is the branch: the identity is older."""
    by_age = sorted(zip(call.ages, range(len(call.tensors)), strict=True), reverse=True)
    shapes = [tuple(call.tensors[i].shape) for _, i in by_age]
    deepest = max(map(len, shapes))
    return [shape for shape in shapes if len(shape) == deepest] + [s for s in shapes if len(s) < deepest]


def _cat(call: Refused) -> list[Shape]:
    rank = max(tensor.dim() for tensor in call.tensors)
    of_rank = [(age, tensor) for age, tensor in zip(call.ages, call.tensors, strict=True) if tensor.dim() == rank]
    dim = call.arguments.get("dim", call.arguments.get("axis", 0))
    dim = (dim if isinstance(dim, int) else 0) % rank
    total = sum(tensor.shape[dim] for _, tensor in of_rank)
    found = []
    for _, tensor in sorted(of_rank, key=lambda pair: pair[0], reverse=True):
        shape = list(tensor.shape)
        shape[dim] = total
        found.append(tuple(shape))
    if len(of_rank) < len(call.tensors) and min(tensor.dim() for tensor in call.tensors) == 2:
        # The deeper ones were to be flattened.
        found.append((call.tensors[0].shape[0], sum(prod(tensor.shape[1:]) for tensor in call.tensors)))
    return found


def _conv(call: Refused) -> list[Shape]:
    """The layer's own width out, at the size it would give: ask torch with the width it wants."""
    if len(call.tensors) < 2:
        return []  # a quantized convolution: its weight is packed
    source, weight = call.tensors[0], call.tensors[1]
    groups = call.arguments.get("groups", 1)
    axis = 1 if source.dim() == weight.dim() else 0
    wanted = list(source.shape)
    width = weight.shape[0] if "transpose" in call.op else weight.shape[1] * int(groups)  # type: ignore[call-overload]
    wanted[axis] = width
    if wanted == list(source.shape):
        spatial = [max(1, size) for size in source.shape[axis + 1 :]]
        return [(*source.shape[:axis], weight.shape[0], *spatial)]
    arguments = {**call.arguments, "input": source.new_empty(wanted)}
    try:
        result = call.function(*_positional(arguments), **_keywords(arguments))
    except (RuntimeError, TypeError, ValueError):
        return [(*source.shape[:axis], weight.shape[0], *source.shape[axis + 1 :])]
    return [tuple(result.shape)] if isinstance(result, torch.Tensor) else []


def _positional(arguments: Mapping[str, object]) -> list[object]:
    return [value for name, value in arguments.items() if name in ("input", "weight")]


def _keywords(arguments: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if name not in ("input", "weight")}


def _linear(call: Refused) -> list[Shape]:
    source, weight = call.tensors[0], call.tensors[1]
    return [(*source.shape[:-1], weight.shape[0])]


def _same(call: Refused) -> list[Shape]:
    return [tuple(call.tensors[0].shape)]


def _matmul(call: Refused) -> list[Shape]:
    left, right = call.tensors[0], call.tensors[1]
    if left.dim() < 2 or right.dim() < 2:
        return []
    batch = max(left.shape[:-2], right.shape[:-2], key=len)
    return [(*batch, left.shape[-2], right.shape[-1])]


def _requested(call: Refused) -> Shape:
    sizes = call.arguments.get(SIZED[call.op], ())
    return tuple(sizes) if isinstance(sizes, tuple | list) else ()


def _sized(call: Refused) -> list[Shape]:
    """The requested shape; an axis left open (-1) gets what is over, at least 1, or the source's size in `expand`."""
    source, sizes = tuple(call.tensors[0].shape), _requested(call)
    if not all(isinstance(size, int | torch.SymInt) for size in sizes):
        return []
    if call.op == "expand":
        padded = (1,) * (len(sizes) - len(source)) + source
        aligned = source + (1,) * (len(sizes) - len(source))  # as if the new axes had been meant on the right
        options = [tuple(o if s == -1 else s for s, o in zip(sizes, fill, strict=True)) for fill in (aligned, padded)]
        return options if len(sizes) >= len(source) else []
    if call.op == "permute":
        return []
    known = prod(size for size in sizes if size != -1)
    rest = max(1, prod(source) // known) if known else 1
    return [tuple(rest if size == -1 else size for size in sizes)]


def _pool(call: Refused) -> list[Shape]:
    """A map too small for its window: go on with one pixel."""
    shape = tuple(call.tensors[0].shape)
    axes = int(call.op[-2])
    return [(*shape[:-axes], *(1,) * axes)]


def _pad(call: Refused) -> list[Shape]:
    widths = call.arguments.get("pad", ())
    if not isinstance(widths, tuple | list):
        return []
    shape = list(call.tensors[0].shape)
    for i, (before, after) in enumerate(zip(widths[::2], widths[1::2], strict=False)):
        shape[-1 - i] = max(1, shape[-1 - i] + before + after)
    return [tuple(shape)]


def _einsum(call: Refused) -> list[Shape]:
    """Each letter of the result at the size it was first met with."""
    equation = next((value for value in call.arguments.values() if isinstance(value, str)), "")
    terms, arrow, result = equation.replace(" ", "").partition("->")
    names = terms.split(",")
    if not arrow or "." in equation or len(names) != len(call.tensors):
        return []
    sizes: dict[str, int] = {}
    for letters, tensor in zip(names, call.tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=False):
            sizes.setdefault(letter, size)
    return [tuple(sizes[letter] for letter in result)] if set(result) <= set(sizes) else []


def _shuffle(call: Refused) -> list[Shape]:
    """Channels and sizes divided as far as they go."""
    shape = tuple(call.tensors[0].shape)
    factor = call.arguments.get("upscale_factor", call.arguments.get("downscale_factor"))
    if len(shape) < 3 or not isinstance(factor, int) or factor < 1:
        return []
    *batch, channels, height, width = shape
    if call.op == "pixel_shuffle":
        return [(*batch, max(1, channels // factor**2), height * factor, width * factor)]
    return [(*batch, channels * factor**2, max(1, height // factor), max(1, width // factor))]


def _loss(call: Refused) -> list[Shape]:
    return [()] if call.arguments.get("reduction", "mean") != "none" else _arithmetic(call)


def _bilinear(call: Refused) -> list[Shape]:
    return [(*call.tensors[0].shape[:-1], call.tensors[2].shape[0])] if len(call.tensors) > 2 else []


_RULES: tuple[tuple[frozenset[str], Callable[[Refused], list[Shape]]], ...] = (
    (_ARITHMETIC, _arithmetic),
    (frozenset(("cat", "stack")), _cat),
    (_CONVS, _conv),
    (frozenset(("linear",)), _linear),
    (_NORMS, _same),
    (_PRODUCTS, _matmul),
    (frozenset(SIZED), _sized),
    (frozenset(op for op in names("pool") if op.startswith(("max_pool", "avg_pool"))), _pool),
    (frozenset(("pad",)), _pad),
    (names("assigning", "masking") | {"multi_head_attention_forward", "scaled_dot_product_attention"}, _same),
    (frozenset(("einsum",)), _einsum),
    (frozenset(("pixel_shuffle", "pixel_unshuffle")), _shuffle),
    (frozenset(("bilinear",)), _bilinear),
    (names("loss"), _loss),
)


def first_line(error: Exception) -> str:
    """What torch said, without its advice."""
    return str(error).strip().split("\n")[0]
