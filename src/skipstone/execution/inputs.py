"""Real inputs for an example that may hold shapes alone: normal numbers, and whole numbers that mean something."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from skipstone.core.graph import Graph, Node, NodeRef
from skipstone.graphs.operations import words
from skipstone.tracing.example import Example
from skipstone.tracing.fakes import is_mere_shape, own_precision
from skipstone.tracing.nests import map_tensors

Arguments = tuple[tuple[object, ...], dict[str, object]]

_VIEWS = words(
    """unsqueeze squeeze expand expand_as view reshape flatten to long int type contiguous clone detach repeat
    broadcast_to permute transpose t getitem chunk split unbind select narrow"""
)
_COUNTED = words("add sub mul div float half double pow sin cos lt gt le ge eq ne to type remainder floor_divide")
_FEW = 10  # values of a whole number that is only computed with


class InputsError(Exception):
    """Inputs of which no real ones can be made; the text says which and what would help."""


def real_inputs(example: Example, graph: Graph, model: nn.Module, *, seed: int, given: bool = True) -> Arguments:
    """Arguments to call the model with, the same for the same seed: the example's own tensors where it has values
    (unless `given` is False: then others of the same kind), standard-normal ones for a shape.

    Raises:
        InputsError: a mask, or whole numbers whose range the record does not show.
    """
    random = torch.Generator().manual_seed(seed)
    weight = own_precision(model)
    nodes = iter(graph.inputs)

    def make(tensor: torch.Tensor) -> torch.Tensor:
        node = graph[next(nodes)]
        if not tensor.is_meta and given:
            return tensor.detach().clone().requires_grad_(tensor.requires_grad)
        mere = is_mere_shape(tensor) and weight is not None
        dtype = weight.dtype if mere and weight is not None else tensor.dtype
        device = _device(model) if tensor.is_meta else tensor.device
        if dtype.is_floating_point or dtype.is_complex:
            made = torch.randn(tensor.shape, generator=random, dtype=_drawn(dtype)).to(device, dtype)
            limit = _bound(graph, node)  # of a floating-point input that indexes a table
            if limit is None or dtype.is_complex:
                return made
            whole = made.abs().mul(limit / 4).floor().clamp(0, limit - 1)
            return whole.long() if _indexes_as_it_is(graph, node) else whole
        if not tensor.is_meta:
            return tensor.flatten()[torch.randperm(tensor.numel(), generator=random)].view(tensor.shape)
        limit = _bound(graph, node) if dtype != torch.bool else None
        if limit is None:
            kind = str(dtype).removeprefix("torch.")
            raise InputsError(f"which values the {kind} input {node.spec} takes is not known; give a tensor")
        return torch.randint(0, limit, tensor.shape, generator=random).to(device, dtype)

    made: Any = map_tensors((example.args, dict(example.kwargs)), make)
    args, kwargs = made
    return args, kwargs


def _device(model: nn.Module) -> torch.device:
    """Where the model's first weight or buffer lies."""
    first = next(itertools.chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def _drawn(dtype: torch.dtype) -> torch.dtype:
    """Random numbers are drawn in a precision that every device has."""
    return torch.complex64 if dtype.is_complex else torch.float32


def _bound(graph: Graph, node: Node) -> int | None:
    """The smallest size of what an input of whole numbers indexes; None where it is read in no way known here."""
    computed = not node.spec.dtype.startswith(("float", "bfloat"))
    limits = [limit for reader, index in _readers(graph, node.index) if (limit := _limit(graph, reader, index))]
    if limits:
        return min(limits)
    first = [reader for reader, _ in _readers(graph, node.index)]
    if computed and first and all(reader.op in _COUNTED for reader in first):
        return 256 if node.spec.dtype == "uint8" else _FEW
    return None


def _indexes_as_it_is(graph: Graph, node: Node) -> bool:
    """Does a table get the input without a cast? Then a mere shape was meant to hold whole numbers."""
    return any(
        reader.op == "embedding" and graph[index].spec.dtype.startswith(("float", "bfloat"))
        for reader, index in _readers(graph, node.index)
    )


def _readers(graph: Graph, index: int) -> Iterator[tuple[Node, int]]:
    """The operations that read a tensor's values behind views, each with the view it reads."""
    pending, seen = [index], {index}
    while pending:
        source = pending.pop()
        for user in graph.users[source]:
            node = graph[user]
            if node.op in _VIEWS and node.inputs[0] == source and not _indexed_by(node, source):
                if user not in seen:
                    seen.add(user)
                    pending.append(user)
            else:
                yield node, source


def _indexed_by(node: Node, index: int) -> bool:
    return node.op == "getitem" and NodeRef(index) in _parts(node.arguments.get("index"))


def _parts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _limit(graph: Graph, node: Node, index: int) -> int | None:
    """How many values an operation has for the index it reads."""
    if node.op == "embedding" and len(node.inputs) > 1:
        return graph[node.inputs[1]].shape[0]
    if node.op == "one_hot":
        classes = node.argument("num_classes", node.argument("arg1"))
        return classes if isinstance(classes, int) and classes > 0 else _FEW
    if node.op in ("cross_entropy", "nll_loss") and node.inputs[0] != index:
        return graph[node.inputs[0]].shape[min(1, len(graph[node.inputs[0]].shape) - 1)]
    if node.op == "getitem":
        parts = _parts(node.arguments.get("index"))
        if NodeRef(index) in parts and None not in parts and Ellipsis not in parts:
            return graph[node.inputs[0]].shape[parts.index(NodeRef(index))]
    if node.op in _ALONG and node.inputs[0] != index:
        dim = node.argument("dim", node.argument("arg1"))
        shape = graph[node.inputs[0]].shape
        if isinstance(dim, int) and -len(shape) <= dim < len(shape):
            return shape[dim]
    return None


_ALONG = words("index_select gather index_add scatter scatter_add take_along_dim index_copy scatter_reduce")
