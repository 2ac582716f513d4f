"""Depths: how many blocks a stage gets, and which depths a family knows."""

from skipstone.core.errors import SkipstoneError


class DepthError(SkipstoneError, ValueError):
    """A depth that the family's rule cannot reach.

    >>> str(DepthError("resnet", 21, 6, 2))
    'no resnet of depth 21: the depth must be 6n+2 with n >= 1; nearest: 20, 26'
    """

    def __init__(self, family: str, depth: int, step: int, extra: int) -> None:
        first = step + extra
        below = depth - (depth - extra) % step
        nearest = [str(d) for d in (below, below + step) if d >= first] or [str(first)]
        super().__init__(
            f"no {family} of depth {depth}: the depth must be {step}n+{extra} with n >= 1; "
            f"nearest: {', '.join(nearest)}"
        )
        self.depth = depth


def num_blocks(family: str, depth: int, *, step: int, extra: int) -> int:
    """The n of `depth = step * n + extra`, at least 1. Any other depth raises `DepthError`.

    >>> num_blocks("resnet", 20, step=6, extra=2)
    3
    """
    n, rest = divmod(depth - extra, step)
    if rest or n < 1:
        raise DepthError(family, depth, step, extra)
    return n
