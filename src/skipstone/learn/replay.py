"""A recorded network run anew, from the record and the weights alone: none of the student's code takes part.

This is what makes a verdict hard to forge. The student's process hands over a record; the grader runs that record
itself. A record that does what the exercise asks *is* a network that does what it asks, however it came about.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skipstone.core.graph import Graph, Node, NodeRef
from skipstone.graphs.operations import OPERATIONS
from skipstone.learn.wire import MAX_ELEMENTS, Unknown

_FACTORIES = frozenset("zeros ones full eye arange new_zeros new_ones new_full zeros_like ones_like full_like".split())
_OPERATORS = frozenset("sqrt rsqrt exp log abs neg pow square reciprocal size".split())
_PYTHON: dict[str, Callable[..., Any]] = {
    "getitem": lambda tensor, index: tensor[index],
    "setitem": lambda tensor, index, value: _assigned(tensor, index, value),
    "to": lambda tensor, *args, **kwargs: tensor.clone(),
    "contiguous": lambda tensor, *args, **kwargs: tensor.contiguous(),
}
_IN_PLACE = ("inplace",)


class ReplayError(Exception):
    """An operation that this file does not know how to run again; `node` is the one."""

    def __init__(self, node: Node, why: str = "") -> None:
        super().__init__(f"{node.op}{f': {why}' if why else ''}")
        self.node = node


def replay(graph: Graph, weights: Mapping[str, Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """The outputs of the recorded network for `inputs`, which must have the shapes it was recorded on.

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
            value = _run(node, values)
        else:
            raise ReplayError(node, "a tensor that is neither a parameter nor a buffer (see register_buffer)")
        if tuple(value.shape) != node.shape:
            raise ReplayError(node, f"its result is {tuple(value.shape)}, and the record says {node.shape}")
        values[node.index] = value
    return tuple(values[index] for index in graph.outputs)


def _weight(node: Node, weights: Mapping[str, Tensor]) -> Tensor:
    if node.name not in weights:
        raise ReplayError(node, f"no weight {node.name!r} came along")
    weight = weights[node.name]
    return weight if node.kind == "parameter" else weight.clone()  # batch norm writes into its running mean


def _run(node: Node, values: Mapping[int, Tensor]) -> Tensor:
    function = _function(node)
    named = {name: _filled(value, values, node) for name, value in node.arguments.items() if name not in _IN_PLACE}
    if not named:
        raise ReplayError(node, "a write into a part of a tensor")
    result = _called(function, named, node)
    if isinstance(result, tuple | list):
        result = result[node.output] if node.output < len(result) else None
    if not isinstance(result, Tensor):
        raise ReplayError(node, "no tensor came of it")
    return result


def _called(function: Callable[..., Any], named: dict[str, Any], node: Node) -> Any:
    """By position what has no name or comes first, the rest by name; else all by position."""
    names = list(named)
    first = [n for i, n in enumerate(names) if i == 0 or n.startswith("arg")]
    try:
        return function(*(named[n] for n in first), **{n: v for n, v in named.items() if n not in first})
    except TypeError:
        try:
            return function(*named.values())
        except (TypeError, RuntimeError, ValueError, IndexError) as error:
            raise ReplayError(node, str(error).splitlines()[0]) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise ReplayError(node, str(error).splitlines()[0]) from error


def _function(node: Node) -> Callable[..., Any]:
    """Torch's own function of that name, of those that only compute."""
    if node.op in _PYTHON:
        return _PYTHON[node.op]
    if node.op not in OPERATIONS and node.op not in _FACTORIES | _OPERATORS:
        raise ReplayError(node, "not among the operations that can be run again")
    for home in (F, torch, Tensor):
        function = getattr(home, node.op, None)
        if callable(function):
            found: Callable[..., Any] = function
            return found
    raise ReplayError(node, "torch has no such function")


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
