"""The tutorial's update rule worked through: `weight - rate * gradient` in real floating point, without torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRADIENT, RATE = 1e-15, 1e-4
WEIGHTS = (1.0, 0.05, 1e-6, 1e-9, 2e-12, 1.8e-12, 1e-12)


@dataclass(frozen=True, slots=True)
class Step:
    """One weight before and after one step in float32. `gap` is the distance to its neighbour away from zero."""

    weight: float
    after: float
    gap: float

    @property
    def moved(self) -> bool:
        return self.weight != self.after


def steps(weights: Sequence[float] = WEIGHTS, *, gradient: float = GRADIENT, rate: float = RATE) -> tuple[Step, ...]:
    """Subtract rate * gradient from each weight, every number and operation in float32."""
    update = np.float32(rate) * np.float32(gradient)
    made = []
    for weight in map(np.float32, weights):
        after = np.float32(weight - update)
        made.append(Step(float(weight), float(after), float(np.spacing(weight))))
    return tuple(made)


def largest_movable(update: float) -> float:
    """The power of two below which every float32 weight moves under this update.

    A weight in [2**e, 2**(e+1)) has its neighbours 2**(e-23) apart and keeps its value under anything smaller than
    half of that, 2**(e-24); so no weight above the bound moves, unless the update is itself a power of two and the
    weight within a factor of two of the bound, where every other one does.

    >>> largest_movable(1e-19) == 2.0**-39
    True
    """
    mantissa, exponent = math.frexp(float(np.float32(update)))
    return math.ldexp(1.0, exponent + 24 - (mantissa == 0.5))
