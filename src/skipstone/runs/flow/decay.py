"""By how much a gradient changes from layer to layer, going backwards, and where that changes.

In a plain network the norm of the gradient is multiplied by one factor at every layer (sqrt(Var(w) fan E[phi'^2]); see
Poole et al. 2016, 1606.05340, and Schoenholz et al. 2016, 1611.01232), so its logarithm is a straight line in depth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SHORTEST = 4  # points of a stretch that is given a factor of its own
_FLOOR = 1e-18  # of a mean squared residual, in logarithms: below it a fit is exact


@dataclass(frozen=True, slots=True)
class Decay:
    """A line through log(norm) over depth. `factor` multiplies the gradient's norm at each layer towards the input.

    `total` is factor ** (layers - 1), first layer's norm over the last layer's by the fit; `r2` the share of the
    variance of log(norm) that the line explains; `layers` counts those that were fitted (finite, above zero), `zeros`
    those whose norm is exactly zero. `breaks_at` is the layer, from 0, at which a second stretch begins whose factor is
    another one, None where one line does; `before` and `after` are the two stretches' factors.
    """

    factor: float
    total: float
    r2: float
    layers: int
    zeros: int = 0
    breaks_at: int | None = None
    before: float | None = None
    after: float | None = None


def fit_decay(norms: Sequence[float]) -> Decay | None:
    """The factor by which a norm changes per layer, from the norms of all layers, first layer first.

    Least squares of log(norm) over the layer's number. Two lines are preferred to one where the Bayesian information
    criterion says so (3 parameters more). None with fewer than 3 norms that are finite and above zero.
    """
    points = [(k, math.log(norm)) for k, norm in enumerate(norms) if norm > 0 and math.isfinite(norm)]
    zeros = sum(norm == 0 for norm in norms)
    if len(points) < 3:
        return None
    slope, error = _line(points)
    spread = _spread(points)
    r2 = 1 - error / spread if spread > 0 else 1.0
    factor = math.exp(-slope)
    split = _split(points, error)
    total = math.exp(min(700.0, -slope * (points[-1][0] - points[0][0])))
    if split is None:
        return Decay(factor, total, r2, len(points), zeros)
    before, after = (math.exp(-_line(part)[0]) for part in (points[:split], points[split:]))
    return Decay(factor, total, r2, len(points), zeros, points[split][0], before, after)


def _split(points: Sequence[tuple[int, float]], error: float) -> int | None:
    """Where a second line begins, if two are better than one."""
    n = len(points)
    best, least = None, math.inf
    for k in range(_SHORTEST, n - _SHORTEST + 1):
        both = _line(points[:k])[1] + _line(points[k:])[1]
        if both < least:
            best, least = k, both
    if best is None:
        return None
    one, two = (n * math.log(max(e / n, _FLOOR)) for e in (error, least))
    return best if two + 3 * math.log(n) < one else None


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(slope, sum of squared residuals) of the least-squares line."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / xx if xx else 0.0
    return slope, sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)


def _spread(points: Sequence[tuple[int, float]]) -> float:
    mean = sum(y for _, y in points) / len(points)
    return sum((y - mean) ** 2 for _, y in points)
