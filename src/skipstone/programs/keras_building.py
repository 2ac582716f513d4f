"""Errors while a functional Keras model is being built: the layers so far are recorded, and the merge that refused.

A symbolic tensor of Keras knows the layer that made it, and that layer its inputs; so both branches of a refused merge
are known, and the model up to it can be made and recorded like any other.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from skipstone.core.graph import Place
from skipstone.programs.culprit import Culprit
from skipstone.programs.frames import Frames, is_own, module_of, own_place
from skipstone.tracing import Example
from skipstone.tracing.blame import pass_on
from skipstone.tracing.position import raised_at

_BATCH = 2


def culprit_of_building(error: BaseException) -> Culprit | None:
    """The model so far with the merge that refused, None where no layer of Keras refused symbolic inputs."""
    keras: Any = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "KerasTensor"):
        return None
    frames = list(traceback.walk_tb(error.__traceback__))
    for number, (frame, _) in enumerate(frames):
        if not module_of(frame).startswith("keras."):
            continue
        held = list(_flat(frame.f_locals.get("args", ())))
        merge = next((value for value in held if isinstance(value, keras.layers.Layer)), None)
        operands = [value for value in held if isinstance(value, keras.KerasTensor)]
        if merge is not None and len(operands) > 1:
            return _culprit(keras, merge, operands, own_place(frames[:number]), _line(error, frames[:number]))
    return None


def _line(error: BaseException, frames: Frames) -> Place | None:
    """The user's own call among the outer frames, with its columns."""
    own = [frame for frame, _ in frames if is_own(frame)]
    link = error.__traceback__
    while link is not None:
        if own and link.tb_frame is own[-1]:
            return raised_at(link.tb_frame, link.tb_lasti)
        link = link.tb_next
    return None


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _culprit(keras: Any, merge: Any, operands: list[Any], place: str, line: Place | None) -> Culprit | None:
    inputs = _inputs_of(operands)
    try:
        network = Unfinished(keras.Model(inputs, operands), merge, line)
    except ValueError:  # a name used twice, say: Keras has no model of it to record
        return None
    shapes = [tuple(_BATCH if size is None else size for size in tensor.shape) for tensor in inputs]
    kinds = [getattr(torch, keras.backend.standardize_dtype(tensor.dtype)) for tensor in inputs]
    made = [torch.empty(shape, dtype=kind, device="meta") for shape, kind in zip(shapes, kinds, strict=True)]
    example = Example((made[0] if len(made) == 1 else made,), {})
    return Culprit(network, example, "forward", place)


def _inputs_of(tensors: list[Any]) -> list[Any]:
    """The inputs of the model that some symbolic tensors were made from, in the order they are met."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    pending = list(tensors)
    while pending:
        tensor = pending.pop(0)
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        layer, node, _ = tensor._keras_history
        before = layer._inbound_nodes[node].input_tensors
        if before:
            pending.extend(before)
        else:
            found[id(tensor)] = tensor
    return list(found.values())


class Unfinished(nn.Module):
    """The model as far as it was built, and the merge of its outputs, called at `line`."""

    def __init__(self, model: Any, merge: Any, line: Place | None) -> None:
        super().__init__()
        self.model, self.merge, self.line = model, merge, line

    def forward(self, x: Any) -> Any:
        return pass_on(self.merge, (pass_on(self.model, (x,)),))  # what they raise is none of ours
