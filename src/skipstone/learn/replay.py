"""A recorded network run anew, from the record and the weights alone: none of the student's code takes part.

This is what makes a verdict hard to forge. The student's process hands over a record; the grader runs that record
itself. A record that does what the exercise asks *is* a network that does what it asks, however it came about.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skipstone.core.graph import Graph, Node, NodeRef
from skipstone.graphs.operations import OPERATIONS
from skipstone.learn.wire import MAX_ELEMENTS, Unknown

# What makes a tensor of no other: a constant to the checker, which has no rules for them.
_FACTORIES = frozenset(
    "zeros ones full eye arange linspace tensor new_zeros new_ones new_full new_tensor zeros_like ones_like full_like "
    "rand_like randn_like".split()
)
# Functions that only compute, beyond those that the checker has rules for.
_OPERATORS = frozenset(
    "sqrt rsqrt exp exp2 expm1 log log1p log2 log10 abs neg positive pow square reciprocal size sin cos tan sinh "
    "cosh asin acos atan atan2 erf erfc sinc sign sgn floor ceil round trunc frac fmod hypot copysign nan_to_num "
    "logit clip clamp_min clamp_max threshold glu hardshrink softshrink softsign softmin tanhshrink rrelu "
    "logical_and logical_or logical_not logical_xor isclose isfinite outer inner ger vdot addmv addr cross kron "
    "diag diagonal diag_embed tril triu trace topk sort msort kthvalue quantile nanmedian aminmax cummax cummin "
    "cumprod logcumsumexp count_nonzero rot90 fliplr flipud hsplit vsplit dsplit select_scatter slice_scatter "
    "diagonal_scatter index_copy index_fill masked_scatter take floor_divide fmin xlogy cosine_similarity "
    "pairwise_distance normalize one_hot grid_sample affine_grid dist renorm sum_to_size as_strided bernoulli "
    "_weight_norm T mT H mH".split()
)
_PYTHON: dict[str, Callable[..., Any]] = {
    "getitem": lambda tensor, index: tensor[index],
    "setitem": lambda tensor, index, value: _assigned(tensor, index, value),
    "to": lambda tensor, *args, **kwargs: tensor.clone(),
    "contiguous": lambda tensor, *args, **kwargs: tensor.contiguous(),
    **{name: lambda input, name=name: getattr(input, name) for name in ("T", "mT", "H", "mH")},
}
_MEMORY_FORMATS = ("torch.channels_last", "torch.channels_last_3d", "torch.contiguous_format", "torch.preserve_format")
_JOIN = "Make the parts and join them: torch.cat, or F.pad."


class ReplayError(Exception):
    """An operation that this file does not know how to run again: `node` is the one, `instead` what to write for it."""

    def __init__(self, node: Node, why: str = "", instead: str = "") -> None:
        super().__init__(f"{node.op}{f': {why}' if why else ''}")
        self.node = node
        self.instead = instead or "Write that step with functions of torch.nn.functional, or with + and @."


def replay(graph: Graph, weights: Mapping[str, Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """The outputs of the recorded network for `inputs`, which must have the shapes it was recorded on."""
    values = replayed(graph, weights, *inputs)
    return tuple(values[index] for index in graph.outputs)


def replayed(graph: Graph, weights: Mapping[str, Tensor], *inputs: Tensor) -> dict[int, Tensor]:
    """Node -> its tensor, of the recorded network for `inputs`.

    Weights that require a gradient get one. Dropout draws from torch's generator where it was recorded in training.

    Raises:
        ReplayError: an operation with no row here, or one whose result has not the shape that the record claims.
    """
    values: dict[int, Tensor] = {}
    given = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph:
        if prod(node.shape) > MAX_ELEMENTS:
            raise ReplayError(node, f"a tensor of shape {node.shape} is larger than an exercise needs")
        if node.index in given:
            value = given[node.index]
        elif node.kind in ("parameter", "buffer"):
            value = _weight(node, weights)
        elif node.kind == "op":
            value = _run(node, values, graph)
        else:
            raise ReplayError(
                node, "a tensor that is neither a parameter nor a buffer",
                "Make it in forward (torch.zeros, say), or bind it in __init__: self.register_buffer(name, tensor).",
            )  # fmt: skip
        values[node.index] = value
    return values


def _weight(node: Node, weights: Mapping[str, Tensor]) -> Tensor:
    if node.name not in weights:
        raise ReplayError(node, f"no weight {node.name!r} came along")
    weight = weights[node.name]
    return weight if node.kind == "parameter" else weight.clone()  # batch norm writes into its running mean


def _run(node: Node, values: Mapping[int, Tensor], graph: Graph) -> Tensor:
    """By the first of torch's functions of that name whose result has the shape that the record claims."""
    if node.op == "setitem" and not node.arguments:
        return _written_through(node, values, graph)
    kept = ((name, value) for name, value in node.arguments.items() if not _is_about_memory(name, value))
    named = {name: _filled(value, values, node) for name, value in kept}
    if node.op == "setitem" and node.overwrites != node.inputs[0] and "value" in named:
        named["input"] = values[node.overwrites or 0]  # what the value's own memory holds after the write
        named["index"] = ...
    troubles = []
    for function in _functions(node):
        try:
            result = _called(function, named)
        except (TypeError, RuntimeError, ValueError, IndexError) as error:
            troubles.append((str(error).splitlines() or [""])[0])
            continue
        if isinstance(result, tuple | list):
            result = result[node.output] if node.output < len(result) else None
        if isinstance(result, Tensor) and tuple(result.shape) == node.shape:
            return result
        shape = tuple(result.shape) if isinstance(result, Tensor) else "no tensor"
        troubles.append(f"its result is {shape}, and the record says {node.shape}")
    raise ReplayError(node, troubles[0])


def _is_about_memory(name: str, value: Any) -> bool:
    """Where the result stands in memory, which changes no number of it."""
    return name == "inplace" or (isinstance(value, Unknown) and value.text in _MEMORY_FORMATS)


def _called(function: Callable[..., Any], named: dict[str, Any]) -> Any:
    """By position what has no name or comes first, the rest by name; else all by position."""
    first = [name for i, name in enumerate(named) if i == 0 or name.startswith("arg")]
    try:
        return function(*(named[n] for n in first), **{n: v for n, v in named.items() if n not in first})
    except TypeError:
        return function(*named.values())


def _written_through(node: Node, values: Mapping[int, Tensor], graph: Graph) -> Tensor:
    """What a tensor holds after a write into a view of it: the view taken anew, of a copy, and written."""
    base, written = node.inputs
    earlier = {base, *_versions(base, graph)}  # the same memory, before it was written into
    chain: list[Node] = []
    at = written
    while at not in earlier and graph[at].inputs:
        step = graph[at]
        chain += [step] if step.overwrites is None else []
        at = step.inputs[0] if step.overwrites is None else step.overwrites
    if at not in earlier:
        raise ReplayError(node, "a write into a part of a tensor", _JOIN)
    copy = values[base].clone()
    view = copy
    for step in reversed(chain):
        view = _run(step, {**values, step.inputs[0]: view}, graph)
    if view.shape != values[written].shape or view.untyped_storage().data_ptr() != copy.untyped_storage().data_ptr():
        raise ReplayError(node, "a write into a part of a tensor", _JOIN)
    view.copy_(values[written])
    return copy


def _versions(index: int, graph: Graph) -> Iterator[int]:
    while (before := graph[index].overwrites) is not None:
        yield before
        index = before


def _functions(node: Node) -> list[Callable[..., Any]]:
    """Torch's own functions of that name, of those that only compute."""
    if node.op in _PYTHON:
        return [_PYTHON[node.op]]
    if node.op not in OPERATIONS and node.op not in _FACTORIES | _OPERATORS and node.op.strip("_") not in _OPERATORS:
        near = get_close_matches(node.op, (*OPERATIONS, *_OPERATORS), n=3, cutoff=0.7)
        raise ReplayError(
            node, "not among the operations that can be run again",
            f"Among them are {', '.join(near)}, and those of torch.nn.functional." if near else "",
        )  # fmt: skip
    names = dict.fromkeys((node.op, node.op.strip("_")))
    found = [
        function for name in names for home in (F, torch, Tensor) if callable(function := getattr(home, name, None))
    ]
    if not found:
        raise ReplayError(node, "torch has no such function")
    return list(dict.fromkeys(found))


def _filled(value: Any, values: Mapping[int, Tensor], node: Node) -> Any:
    if isinstance(value, NodeRef):
        return values[value.index]
    if isinstance(value, tuple):
        return tuple(_filled(item, values, node) for item in value)
    if isinstance(value, slice):
        return slice(*(_filled(part, values, node) for part in (value.start, value.stop, value.step)))
    if isinstance(value, Unknown):
        raise ReplayError(node, f"an argument {value.text}")
    if isinstance(value, int) and abs(value) > MAX_ELEMENTS:
        raise ReplayError(node, f"an argument {value} is larger than an exercise needs")
    return value


def _assigned(tensor: Tensor, index: Any, value: Any) -> Tensor:
    changed = tensor.clone()
    changed[index] = value
    return changed
