"""Where a user's code called a layer of a functional Keras model: noted while the model is built.

When such a model runs, its layers are called by Keras, and the line that put each of them there is no longer on the
stack. Keras keeps a node for every call on symbolic tensors; the line is kept with that, and goes where it goes.
"""

import functools
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from skipstone.core.arrival import on_arrival, when_arrived
from skipstone.core.graph import Place
from skipstone.tracing.keras import PACKAGE, is_layer
from skipstone.tracing.position import places

_ATTRIBUTE = "_skipstone_place"
_NODE = "keras.src.ops.node"  # 3.15: where the class lies that Keras makes a node of; not found, no line is noted
_MODELS = os.path.join("keras", "src", "models", "")  # a model that calls its own layers is nobody's line


def note_calls_when_loaded() -> None:
    """From now on, once Keras is there."""
    when_arrived(PACKAGE, _note_calls)


def noting_calls() -> AbstractContextManager[None]:
    """From the moment within this block that Keras is there, for as long as it stays loaded."""
    return on_arrival(PACKAGE, _note_calls)


def called_at(module: nn.Module) -> Place | None:
    """The user's line that called a layer on symbolic tensors; None where there is not exactly one that was noted."""
    if PACKAGE not in sys.modules or not is_layer(module):
        return None
    nodes: Sequence[object] = getattr(module, "_inbound_nodes", ())
    place = vars(nodes[0]).get(_ATTRIBUTE) if len(nodes) == 1 else None
    return place if isinstance(place, Place) else None


def _note_calls() -> None:
    kind: Any = getattr(sys.modules.get(_NODE), "Node", None)
    if kind is None or hasattr(kind.__init__, "__wrapped__"):
        return
    plain = kind.__init__

    @functools.wraps(plain)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        if not _within_model():
            vars(self)[_ATTRIBUTE] = places()[0]

    kind.__init__ = init


def _within_model() -> bool:
    frame = sys._getframe(2)
    while frame is not None and f"{os.sep}keras{os.sep}" in frame.f_code.co_filename:
        if _MODELS in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
