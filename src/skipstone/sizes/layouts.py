"""Memory layout at many points at once: are strides packed, are they channels-last?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Value = NDArray[Any] | int | float | bool
Mask = NDArray[np.bool_]


def plain(value: Any) -> Value:
    """numpy's own scalars as Python's."""
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[no-any-return]


def packed(sizes: Sequence[Value], strides: Sequence[Value], order: Sequence[int]) -> Value:
    """Do the strides, innermost first by `order`, leave no gap? An axis of size 1 may have any; no elements, always."""
    fits: Any = True
    empty: Any = False
    expected: Any = 1
    for i in order:
        empty = np.logical_or(empty, np.equal(sizes[i], 0))
        fits = np.logical_and(fits, np.logical_or(np.equal(sizes[i], 1), np.equal(strides[i], expected)))
        expected = expected * sizes[i]
    return plain(np.logical_or(empty, fits))


def ordered(sizes: Sequence[Value], strides: Sequence[Value], order: Sequence[int]) -> Value:
    """torch's `is_channels_last_strides`: strides grow by `order`, and sizes of 1 do not make it ambiguous."""
    least: Any = 0
    good: Any = np.not_equal(strides[1], 0)
    for i in order:
        good = np.logical_and(good, np.not_equal(sizes[i], 0))
        good = np.logical_and(good, np.greater_equal(strides[i], least))
        if i == 0:
            good = np.logical_and(good, np.not_equal(least, strides[1]))
        least = strides[i] * np.maximum(sizes[i], 1)
    return plain(good)
