"""The residual block in Keras, channels last, on the torch backend: an optional extra (`pip install skipstone[keras]`).

    y = relu(x + conv2(relu(conv1(x))))     'same' convolutions, so (32, 64, 64, 64) stays (32, 64, 64, 64)

Tensors are NHWC, so the channels stand last. With `filters` other than the input's channels the addition fails, as in
`ResNetBlock`. Keras is imported when a block is built, and told to use torch unless `KERAS_BACKEND` already says
otherwise.
"""

import os
from types import ModuleType
from typing import TYPE_CHECKING, cast

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from torch import nn


class KerasMissingError(SkipstoneError, ImportError):
    """Keras is not installed, or runs on another backend than torch."""


def keras_on_torch() -> ModuleType:
    """Keras, imported on torch where nobody has imported it yet.

    Raises:
        KerasMissingError: it is not installed, or runs on another backend.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ModuleNotFoundError as error:
        raise KerasMissingError(f"{error.name} is missing: pip install 'skipstone[keras]'") from error
    if keras.backend.backend() != "torch":
        raise KerasMissingError(
            f"Keras runs on {keras.backend.backend()!r}: set KERAS_BACKEND=torch before it is imported"
        )
    return cast("ModuleType", keras)


def keras_residual_block(filters: int = 64, *, in_channels: int = 64, size: int | tuple[int, int] = 64) -> "nn.Module":
    """A Keras model of one block, which is a torch module too: (N, size, size, in_channels) to (N, size, size,
    filters). A `size` of two is height and width.

    Unequal `filters` and `in_channels` raise Keras' own ValueError while the block is built; that is the tutorial's
    mistake.
    """
    keras = keras_on_torch()
    height, width = size if isinstance(size, tuple) else (size, size)
    x = keras.Input((height, width, in_channels))
    y = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv1")(x)
    y = keras.layers.Conv2D(filters, 3, padding="same", name="conv2")(y)
    y = keras.layers.Add(name="add")([x, y])
    return cast("nn.Module", keras.Model(x, keras.layers.Activation("relu", name="relu")(y)))
