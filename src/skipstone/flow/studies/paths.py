"""How long the ways are that a gradient takes through residual blocks (Veit et al. 2016, 1605.06431, sections 3, 4.3).

A block is passed by its shortcut or by its branch, so n blocks have 2**n paths, C(n, k) of them through k branches.
If a branch hands back `g` of what its shortcut does, a path through k branches carries g**k of the gradient. Exact for
linear branches alone; that a residual network is an ensemble of its paths is disputed.

Cost: none. Decision: where nearly all gradient comes by paths of ten blocks, a deeper network adds capacity and hardly
any depth; `grad_ratio` of a record's skips is each block's `g`.
"""

from collections.abc import Sequence


def path_lengths(gains: Sequence[float]) -> list[float]:
    """The share of the gradient that comes by paths through k = 0..n branches, from each block's `g`; (n + 1,).

    With g = 1 for all: C(n, k) / 2**n. With one g: Binomial(n, g / (1 + g)).

    >>> path_lengths([1, 1])
    [0.25, 0.5, 0.25]
    """
    shares = [1.0]
    for gain in gains:
        branch = gain / (1 + gain)
        longer = [0.0, *(share * branch for share in shares)]
        shares = [stay * (1 - branch) + more for stay, more in zip([*shares, 0.0], longer, strict=True)]
    return shares


def path_moments(shares: Sequence[float]) -> tuple[float, float]:
    """(mean, standard deviation) of the number of branches on a path."""
    mean = sum(k * share for k, share in enumerate(shares))
    return mean, sum((k - mean) ** 2 * share for k, share in enumerate(shares)) ** 0.5
