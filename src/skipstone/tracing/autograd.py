"""What autograd will do with a recorded pass: which backward it will refuse, which parameters no gradient reaches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from skipstone.core.graph import Node, Parameter, Refusal, TensorSpec
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.recorder import Recorder
from skipstone.tracing.torch_internals import SAVED

_REFUSED = "modified by an inplace operation"


def backward_nodes(outputs: Iterable[torch.Tensor]) -> list[Any]:
    """Every autograd node a backward from the outputs would visit, each once, those nearest the outputs first."""
    pending = [t.grad_fn for t in outputs if t.grad_fn is not None]
    seen = set(pending)
    order = []
    while pending:
        function = pending.pop()
        order.append(function)
        for following, _ in function.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    return order


def parameters(clone: FakeClone, recorder: Recorder, visited: Sequence[Any]) -> tuple[Parameter, ...]:
    """Each parameter: was it used, and does a gradient reach it?"""
    reached = {id(function.variable) for function in visited if hasattr(function, "variable")}
    inside = {
        recorder.nodes[i].name
        for function in visited
        for inner in recorder.spans.get(function, ())
        for i in recorder.nodes[inner].inputs
        if recorder.nodes[i].kind == "parameter"
    }
    return tuple(
        Parameter(
            name,
            TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")),
            tensor.requires_grad,
            name in recorder.used,
            id(tensor) in reached or (tensor.requires_grad and name in inside),
        )
        for name, tensor in clone.model.named_parameters()
    )


def refusals(recorder: Recorder, visited: Sequence[Any]) -> tuple[Refusal, ...]:
    """The saved tensors that were overwritten: unpacking one raises, exactly as a backward pass would."""
    writers = [node for node in recorder.nodes if node.overwrites is not None and node.storage >= 0]
    if not writers:
        return ()
    return tuple(_refusals(recorder, visited, writers))


def _refusals(recorder: Recorder, visited: Sequence[Any], writers: Sequence[Node]) -> Iterator[Refusal]:
    for function in visited:
        saver = recorder.grad_fns.get(function)
        if saver is None or saver in recorder.hooked:
            continue
        for name in dir(function):
            if not name.startswith(SAVED) and name != "saved_tensors":
                continue
            message = _unpack(function, name)
            if message is not None:
                writer = _writer(recorder.nodes, saver, writers)
                if writer is not None:
                    yield Refusal(saver, writer, message)
                break


def _unpack(function: Any, name: str) -> str | None:
    try:
        getattr(function, name)
    except RuntimeError as error:
        text = str(error)
        return text.split("\n")[0] if _REFUSED in text else None
    return None


def _writer(nodes: Sequence[Node], saver: int, writers: Sequence[Node]) -> int | None:
    """The first in-place operation after `saver` on memory that it read or made."""
    memory = {nodes[saver].storage, *(nodes[i].storage for i in nodes[saver].inputs)}
    return next((node.index for node in writers if node.index > saver and node.storage in memory), None)
