"""Where an answer about sizes is most likely to be wrong: the edges of what was found legal."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skipstone.sizes.explore import Exploration

_SMALLEST = 4  # one of each residue class of the most frequent periods, and where maps shrink to nothing
_STRETCHES = 2  # unbroken stretches of legal sizes, the first ones and the last ones, whose both ends are looked at


def edges(found: Exploration, first: int | None = None) -> list[int]:
    """Points that stand for all that run, the likeliest to be wrong first.

    The ones next to the point `first` if there is one, the smallest, the ends of each part that one pass spoke for,
    the ends of each unbroken stretch, and between them points twice as far out each time.
    """
    points = np.flatnonzero(found.known & found.runs)
    if not len(points):
        return []
    picked = [*_next_to(points, first), *points[:_SMALLEST].tolist(), *_ends(points, found)]
    return list(dict.fromkeys([*picked, *_ladder(points)]))


def _next_to(points: NDArray[np.int64], first: int | None) -> list[int]:
    if first is None:
        return []
    nearest: list[int] = points[np.argsort(np.abs(points - first), kind="stable")][:2].tolist()
    return nearest


def _ends(points: NDArray[np.int64], found: Exploration) -> Iterator[int]:
    parts = found.part[points]
    for part in dict.fromkeys(parts.tolist()):
        inside = points[parts == part]
        yield from (int(inside[-1]), int(inside[0]))
    breaks = np.flatnonzero(np.diff(points) > 1)
    ends = np.stack([np.append(points[breaks], points[-1]), np.insert(points[breaks + 1], 0, points[0])], 1)
    yield from ends[:_STRETCHES].flatten().tolist()
    yield from ends[-_STRETCHES:].flatten().tolist()


def _ladder(points: NDArray[np.int64]) -> Iterator[int]:
    """Points 8, 16, 32, ... places on, each with its neighbour."""
    place = 8
    while place < len(points):
        yield from points[place : place + 2].tolist()
        place *= 2
