"""What crosses from the student's process: recorded networks and tensors as JSON, and plain values. No pickle.

The reader trusts nothing: whatever is not of the right form is a `RecordError`.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from skipstone.core.codec import RecordError, decode, encode
from skipstone.core.graph import Graph, NodeRef

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool,
    )
}  # fmt: skip
MAX_ELEMENTS = 4_000_000
"""Of all tensors of one network together: the exercises' networks have some thousands."""


# ---- plain values


def plain(value: object, depth: int = 0) -> Any:
    """A value as JSON: tuples and shapes as lists, tensors of numbers as lists, anything else as its type in words."""
    if depth > 8:
        return {"unknown": "nested too deeply"}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        return value.tolist() if value.numel() <= 10_000 else {"unknown": f"a tensor of shape {tuple(value.shape)}"}
    if isinstance(value, Mapping):
        return {"pairs": [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in list(value.items())[:10_000]]}
    if isinstance(value, list | tuple | range | set | frozenset):
        kept = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [plain(item, depth + 1) for item in list(kept)[:10_000]]
    if hasattr(value, "item") and callable(value.item):  # a number of numpy's
        return plain(value.item(), depth + 1)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    return {"unknown": f"{type(value).__name__} object"}


def value_from(data: Any) -> Any:
    """The value: lists as tuples, so that shapes are; what could not be sent as `Unknown`."""
    if isinstance(data, list):
        return tuple(map(value_from, data))
    if isinstance(data, dict) and set(data) == {"pairs"}:
        try:
            return {value_from(key): value_from(value) for key, value in data["pairs"]}
        except (TypeError, ValueError) as error:
            raise RecordError("a dict that is none") from error
    if isinstance(data, dict):
        return Unknown(str(data.get("unknown", "?")))
    return data


class Unknown:
    """A value that is no plain data; equal to nothing, shown by its type."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<{self.text}>"


# ---- tensors


def tensors_to(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Tensors by name as JSON: dtype, shape, bytes."""
    if sum(tensor.numel() for tensor in tensors.values()) > MAX_ELEMENTS:
        raise ValueError(f"the network has more than {MAX_ELEMENTS:,} weights, more than an exercise needs")
    return {name: _tensor_to(tensor.detach().cpu().contiguous()) for name, tensor in tensors.items()}


def _tensor_to(tensor: torch.Tensor) -> dict[str, Any]:
    raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "bytes": base64.b64encode(raw).decode("ascii"),
    }


def tensors_from(data: object) -> dict[str, torch.Tensor]:
    """The tensors of `tensors_to`.

    Raises:
        RecordError: bytes and shape do not belong together, or they are too many.
    """
    if not isinstance(data, dict):
        raise RecordError("weights that are none")
    found = {str(name): _tensor_from(item) for name, item in data.items()}
    if sum(tensor.numel() for tensor in found.values()) > MAX_ELEMENTS:
        raise RecordError("too many weights")
    return found


def _tensor_from(data: Any) -> torch.Tensor:
    try:
        dtype, shape = _DTYPES[data["dtype"]], [int(size) for size in data["shape"]]
        raw = bytearray(base64.b64decode(data["bytes"], validate=True))
        if not raw:
            return torch.empty(shape, dtype=dtype) if 0 in shape else torch.empty(0).reshape(shape)
        return torch.frombuffer(raw, dtype=dtype).reshape(shape).clone()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RecordError("weights that are none") from error


# ---- recorded networks


def graph_to(graph: Graph) -> dict[str, Any]:
    """A recorded network as JSON."""
    nodes = tuple(replace(node, arguments={k: _arg_to(v) for k, v in node.arguments.items()}) for node in graph)
    return encode(replace(graph, nodes=nodes))


def graph_from(data: object) -> Graph:
    """The recorded network of `graph_to`, its references checked: each node reads nodes before it alone.

    Raises:
        RecordError: it is none.
    """
    graph = decode(Graph, data, where="the record of the network")
    nodes = []
    for number, node in enumerate(graph.nodes):
        arguments = {name: _arg_from(value) for name, value in node.arguments.items()}
        read = (*node.inputs, *_references(arguments), *(() if node.overwrites is None else (node.overwrites,)))
        if node.index != number or any(not 0 <= index < number for index in read):
            raise RecordError("the record of the network refers to what is not there")
        if any(size < 0 for size in node.shape):
            raise RecordError("the record of the network has a negative size")
        nodes.append(replace(node, arguments=arguments))
    known = range(len(nodes))
    ends = (*graph.inputs, *graph.outputs, *(i for call in graph.calls for i in (*call.inputs, *call.outputs)))
    if any(index not in known for index in ends) or (not graph.outputs and graph.stopped is None):
        raise RecordError("the record of the network has no such end")
    if any(not -1 <= node.call < len(graph.calls) for node in nodes) or "" not in graph.modules:
        raise RecordError("the record of the network names a call that is not there")
    return replace(graph, nodes=tuple(nodes))


def _arg_to(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return {"float": repr(value)} if isinstance(value, float) else value
    if isinstance(value, NodeRef):
        return {"node": value.index}
    if isinstance(value, slice):
        return {"slice": [_arg_to(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, list | tuple):
        return {"tuple": [_arg_to(item) for item in value]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if value is ...:
        return {"ellipsis": True}
    return {"unknown": repr(value)[:80]}


def _arg_from(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    kind: str
    value: Any
    kind, value = next(iter(data.items()), ("", None))
    match kind:
        case "float":
            return float(value)
        case "node":
            return NodeRef(int(value))
        case "slice":
            start, stop, step = map(_arg_from, value)
            return slice(start, stop, step)
        case "tuple":
            return tuple(map(_arg_from, value))
        case "dtype" if value in _DTYPES:
            return _DTYPES[value]
        case "ellipsis":
            return ...
    return Unknown(str(value))


def _references(value: object) -> Sequence[int]:
    if isinstance(value, NodeRef):
        return [value.index]
    if isinstance(value, Mapping):
        return [index for item in value.values() for index in _references(item)]
    if isinstance(value, tuple):
        return [index for item in value for index in _references(item)]
    if isinstance(value, slice):
        return [i for part in (value.start, value.stop, value.step) for i in _references(part)]
    return []
