"""When does `weight + update` equal `weight`? The tutorial's update rule, worked through in real floating point.

A float with p significant bits in [2**e, 2**(e+1)) has its neighbours 2**(e-p+1) away; rounding to nearest (ties to
even) swallows any same-sign update below half of that, 2**(e-p). At w = 2**e the neighbour below is half as far, so an
update that shrinks the weight needs half as much. (Below the smallest normal number the spacing stops shrinking.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skipstone.core.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Format:
    """A float format: significant bits (the hidden one included), exponent of the smallest normal number."""

    name: str
    dtype: torch.dtype
    bits: int
    smallest_exponent: int


FORMATS = {
    f.name: f
    for f in (
        Format("float64", torch.float64, 53, -1022),
        Format("float32", torch.float32, 24, -126),
        Format("float16", torch.float16, 11, -14),
        Format("bfloat16", torch.bfloat16, 8, -126),
    )
}


def threshold(weight: float, dtype: str = "float32") -> float:
    """Half the distance from `weight` to its neighbour away from zero: a smaller growing update is always lost.

    >>> threshold(0.05)  # 2**-29
    1.862645149230957e-09
    """
    form = _format(dtype)
    exponent = math.frexp(abs(weight))[1] - 1 if weight else form.smallest_exponent
    return math.ldexp(1.0, max(exponent, form.smallest_exponent) - form.bits)


def is_lost(weight: float, update: float, dtype: str = "float32") -> bool:
    """Does adding `update` leave `weight`, both rounded to `dtype`, exactly as it is? Computed, not estimated.

    >>> is_lost(0.05, -1e-19), is_lost(0.05, -1e-8)
    (True, False)
    """
    form = _format(dtype)
    before = torch.tensor(weight, dtype=form.dtype)
    return bool(before + torch.tensor(update, dtype=form.dtype) == before)


def largest_movable(update: float, dtype: str = "float32") -> float:
    """The power of two that bounds the weights an update of this size can move: all below it, none above it.

    At the bound itself an update moves the weight towards zero and not away from it. An update that is a power of two
    ties between neighbours, and so moves every other weight up to twice the bound as well. 0 where `dtype` cannot hold
    the update at all.

    >>> largest_movable(1e-19) == 2.0**-39
    True
    """
    form = _format(dtype)
    held = abs(float(torch.tensor(update, dtype=form.dtype)))
    if held == 0:
        return 0.0
    # All |w| in [2**e, 2**(e+1)) move iff 2**(e-p) < held; the largest such e gives the bound 2**(e+1).
    mantissa, exponent = math.frexp(held)
    return math.ldexp(1.0, exponent - (mantissa == 0.5) + form.bits)


def round_stochastically(values: Tensor, dtype: str = "bfloat16", *, random: torch.Generator | None = None) -> Tensor:
    """`values` (any shape) in `dtype`, each up or down to a neighbour, up with the share of the gap that it is above.

    Right on average, so that updates far below `threshold` add up where rounding to nearest loses every one of them
    (Gupta et al. 2015, 1502.02551, section 3); one rounding has a standard deviation of gap * sqrt(f (1 - f)). For
    studies: whether weights could be kept in 16 bits without a float32 copy. Costs about ten operations of torch.

    >>> round_stochastically(torch.tensor([1.0, 0.5])).tolist()  # what the format holds stays
    [1.0, 0.5]
    """
    form = _format(dtype)
    exact = values.double()
    exponent = (torch.frexp(exact).exponent - 1).clamp_min(form.smallest_exponent)
    gap = torch.ldexp(torch.ones_like(exact), exponent - form.bits + 1)
    below = (exact / gap).floor()
    drawn = torch.rand(exact.shape, generator=random, dtype=exact.dtype, device=exact.device)
    return ((below + (drawn < exact / gap - below)) * gap).to(form.dtype)


@dataclass(frozen=True, slots=True)
class UpdateExample:
    """`new = old - lr * gradient`, worked through for one format.

    `update` is lr * gradient as a real number, `threshold` what it would have to exceed at this weight, `lost`
    whether the weight stays, `largest_movable` the bound on the weights it could move.
    """

    dtype: str
    gradient: float
    lr: float
    weight: float
    update: float
    threshold: float
    lost: bool
    largest_movable: float

    def __str__(self) -> str:
        what = "is lost" if self.lost else "moves it"
        moves = f"it moves only weights below {self.largest_movable:.4g}"
        if not self.largest_movable:
            moves = f"{self.dtype} rounds it to 0, which moves no weight"
        return (
            f"{self.dtype}: a gradient of {self.gradient:g} at learning rate {self.lr:g} is an update of "
            f"{self.update:g}; at weight {self.weight:g} the threshold is {self.threshold:.3g}, so it {what}; "
            f"{moves}"
        )


def update_example(
    gradient: float = 1e-15, lr: float = 1e-4, weight: float = 0.05, dtypes: Sequence[str] = tuple(FORMATS)
) -> tuple[UpdateExample, ...]:
    """The tutorial's example, in each format: what becomes of `weight - lr * gradient`.

    >>> print(update_example(dtypes=["float32"])[0])
    float32: a gradient of 1e-15 at learning rate 0.0001 is an update of 1e-19; at weight 0.05 the threshold is \
1.86e-09, so it is lost; it moves only weights below 1.819e-12
    """
    update = lr * gradient
    return tuple(
        UpdateExample(
            dtype=dtype,
            gradient=gradient,
            lr=lr,
            weight=weight,
            update=update,
            threshold=threshold(weight, dtype),
            lost=is_lost(weight, -update, dtype),
            largest_movable=largest_movable(update, dtype),
        )
        for dtype in dtypes
    )


def _format(dtype: str) -> Format:
    if dtype not in FORMATS:
        raise UnknownNameError("float format", dtype, FORMATS)
    return FORMATS[dtype]
