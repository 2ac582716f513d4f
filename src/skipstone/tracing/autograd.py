"""What autograd will do with a recorded pass: which backward it will refuse, which parameters no gradient reaches."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from skipstone.core.graph import Node, Parameter, Refusal, TensorSpec
from skipstone.tracing.checkpoints import Checkpoint
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.gradients import grad_fn_of
from skipstone.tracing.recorder import Recorder
from skipstone.tracing.torch_internals import SAVED, gradient_shape, sequence_number

_REFUSED = "modified by an inplace operation"


def backward_nodes(outputs: Iterable[torch.Tensor]) -> list[Any]:
    """Every autograd node a backward from the outputs would visit, each once, those nearest the outputs first."""
    pending = [function for t in outputs if (function := grad_fn_of(t)) is not None]
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
    made = sorted((sequence_number(function), index) for function, index in recorder.grad_fns.items())
    for function in visited:
        saver = _saver(recorder, function, made)
        if saver is None or saver in recorder.hooked:
            continue
        message = _refused(recorder, function, saver)
        writer = None if message is None else _writer(recorder.nodes, saver, writers)
        if message is not None and writer is not None:
            yield Refusal(saver, writer, message)
    for call in recorder.checkpoints.calls:
        if call.overwritten:
            yield from _refused_checkpoint(recorder, call, visited, made, writers)


def _refused_checkpoint(
    recorder: Recorder,
    call: Checkpoint,
    visited: Sequence[Any],
    made: Sequence[tuple[int, int]],
    writers: Sequence[Node],
) -> Iterator[Refusal]:
    """The first function inside the call that asks for its tensors in vain; torch tells, by trying to unpack them."""
    for function in visited:
        saver = _saver(recorder, function, made)
        if saver is None or saver not in call.nodes:
            continue
        message = f"one of the tensors of a checkpoint was {_REFUSED}"
        said = message if call.reentrant else _refused(recorder, function, saver)
        written = (node.index for node in writers if node.index >= call.nodes.start and node.storage in call.memory)
        writer = next(written, None)
        if said is not None and writer is not None:
            yield Refusal(saver, writer, said)
            return


def _saver(recorder: Recorder, function: Any, made: Sequence[tuple[int, int]]) -> int | None:
    """The node that an autograd function belongs to: its own, or the first made since, for a part of an operation."""
    own = recorder.grad_fns.get(function)
    if own is not None and not _is_hidden(function):
        return own
    since = bisect_left(made, (sequence_number(function), -1))
    return made[since][1] if since < len(made) else None


def _is_hidden(function: Any) -> bool:
    """A write through a view that autograd follows: the function that saved something stands inside this one."""
    return str(function.name()).endswith("CopySlices")


def _refused(recorder: Recorder, function: Any, saver: int) -> str | None:
    """What a backward pass would say of this function's saved tensors, None where they are as they were saved."""
    if _is_hidden(function):
        return _carried_out(recorder, function, recorder.nodes[saver].shape)
    names = (name for name in dir(function) if name.startswith(SAVED) or name == "saved_tensors")
    return next((message for name in names if (message := _unpack(function, name)) is not None), None)


def _carried_out(recorder: Recorder, function: Any, shape: tuple[int, ...]) -> str | None:
    try:
        with torch.no_grad(), recorder.clone.fake:
            function(torch.empty(gradient_shape(function, shape)))
    except RuntimeError as error:
        return str(error).split("\n")[0] if _REFUSED in str(error) else None
    return None


def _unpack(function: Any, name: str) -> str | None:
    try:
        getattr(function, name)
    except RuntimeError as error:
        text = str(error)
        return text.split("\n")[0] if _REFUSED in text else None
    return None


def _writer(nodes: Sequence[Node], saver: int, writers: Sequence[Node]) -> int | None:
    """The first in-place operation after `saver` on memory that it read or made, or `saver` itself: `x *= x`."""
    memory = {nodes[saver].storage, *(nodes[i].storage for i in nodes[saver].inputs)}
    later = [node for node in writers if node.index > saver]
    found = next((node.index for node in later if node.storage in memory), None)
    if found is None and nodes[saver].overwrites is not None:
        return saver
    return found if found is not None else next((node.index for node in later), None)
