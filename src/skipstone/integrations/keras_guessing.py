"""An example input for a Keras network that nobody gave one for, in Keras' order of axes.

A layer of Keras makes its weights for the first input that it meets, so before that only its kind says what it takes:
maps, sequences or features. A functional model knows its inputs.
"""

import sys
from collections.abc import Iterator
from typing import Any

from torch import nn

from skipstone.tracing import keras

_CHANNELS = 3  # of images
_FEATURES = 16
_LENGTH = 16  # of a sequence


def keras_forms(model: nn.Module) -> Iterator[str]:
    """Inputs without the batch that the model may take, the likeliest first, with S for each free side.

    A block meant for the stream of a network takes the channels that it makes itself, so those are tried as well.
    """
    declared = getattr(model, "inputs", None)
    if declared:
        if len(declared) == 1:
            yield _declared(declared[0])
        return
    layers = list(keras.layers_in(model))
    kinds: Any = sys.modules[keras.PACKAGE].layers
    for layer in layers:
        rank = getattr(layer, "rank", None)
        if isinstance(layer, kinds.Embedding):
            yield f"{_LENGTH}:int64"
        elif isinstance(layer, kinds.RNN | kinds.MultiHeadAttention):
            yield from (f"{_LENGTH}x{width}" for width in (_FEATURES, *_widths(layers)))
        elif isinstance(layer, kinds.Dense):
            yield from (str(width) for width in (_FEATURES, *_widths(layers)))
        elif isinstance(rank, int):
            yield from (_map(layer, rank, channels) for channels in (_CHANNELS, *_widths(layers)))


def _declared(tensor: Any) -> str:
    import keras as package

    kind = package.backend.standardize_dtype(tensor.dtype)
    sizes = "x".join("S" if size is None else str(size) for size in tensor.shape[1:])
    return sizes if kind.startswith("float") else f"{sizes}:{kind}"


def _widths(layers: list[Any]) -> tuple[int, ...]:
    """The channels or features that the layers make, each once."""
    made = (getattr(layer, name, None) for layer in layers for name in ("filters", "units"))
    return tuple(dict.fromkeys(width for width in made if isinstance(width, int)))


def _map(layer: Any, rank: int, channels: int) -> str:
    sides = ["S"] * rank
    first = getattr(layer, "data_format", None) == "channels_first"
    return "x".join([str(channels), *sides] if first else [*sides, str(channels)])
