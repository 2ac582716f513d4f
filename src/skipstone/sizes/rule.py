"""A set of sizes in words: `h % 16 == 0`, `odd h >= 5`, `3 and 4 only`, `h % 4 in {0, 3}`.

Every rule that is offered has been evaluated on the whole range and equals the set there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipstone.core.sizes import in_rows, in_words

Sizes = NDArray[np.int64]
Test = Callable[[Sizes], NDArray[np.bool_]]
_FEW = 4  # as many sizes, or runs of sizes, as are listed one by one
_MAX_PERIOD = 1024
_MAX_RESIDUES = 12  # pieces of a residue list: more is no short rule
_MAX_STRAYS = 6  # sizes below the point from which a rule holds


@dataclass(frozen=True)
class Rule:
    text: str
    test: Test


def describe(legal: frozenset[int], checked: frozenset[int], symbol: str = "h") -> str:
    """The shortest rule found that selects exactly `legal` from `checked`.

    >>> describe(frozenset(range(16, 200, 16)), frozenset(range(1, 200)))
    'h % 16 == 0'
    """
    sizes = np.array(sorted(checked), dtype=np.int64)
    wanted = np.array([size in legal for size in sizes.tolist()], dtype=np.bool_)
    for rule in _candidates(sizes, wanted, symbol):
        if np.array_equal(rule.test(sizes), wanted):
            return rule.text
    listed = sizes[wanted].tolist()
    return f"no short rule: {', '.join(map(str, listed[:6]))}, ..., {listed[-1]}"


def _candidates(sizes: Sizes, wanted: NDArray[np.bool_], h: str) -> Iterator[Rule]:
    listed = sizes[wanted].tolist()
    if not listed:
        yield Rule("none", lambda x: np.zeros(len(x), dtype=np.bool_))
        return
    if len(listed) == len(sizes):
        yield Rule(f"every {h}", lambda x: np.ones(len(x), dtype=np.bool_))
        return
    if len(listed) <= 2:
        yield Rule(f"{in_words(listed)} only", _among(listed))
    runs = _runs(sizes, wanted)
    if len(runs) == 1:
        yield _interval(runs[0], int(sizes[0]), int(sizes[-1]), h)
    if len(listed) <= _FEW:
        yield Rule(f"{in_words(listed)} only", _among(listed))
    yield from _periodic(sizes, wanted, h)
    if len(runs) <= _FEW:
        parts = [_interval(run, int(sizes[0]), int(sizes[-1]), h) for run in runs]
        yield Rule(" or ".join(part.text for part in parts), _any([part.test for part in parts]))
    yield from _with_exceptions(sizes, wanted, h)
    if len(listed) <= 3 * _FEW:
        yield Rule(f"{in_words(listed)} only", _among(listed))


def _interval(run: tuple[int, int], first: int, last: int, h: str) -> Rule:
    low, high = run
    if high == last and low > first:
        return Rule(f"{h} >= {low}", lambda x: x >= low)
    if low == first and high < last:
        return Rule(f"{h} <= {high}" if high > low else f"{h} == {low}", lambda x: x <= high)
    if low == high:
        return Rule(f"{h} == {low}", lambda x: x == low)
    return Rule(f"{low} <= {h} <= {high}", lambda x: (x >= low) & (x <= high))


def _periodic(sizes: Sizes, wanted: NDArray[np.bool_], h: str) -> Iterator[Rule]:
    """Residues of the least period that explains the set from its first (and up to its last) size on."""
    listed = sizes[wanted]
    low, high = int(listed[0]), int(listed[-1])
    for top in (int(sizes[-1]), high):
        inside = (sizes >= low) & (sizes <= top)
        span, hit = sizes[inside], wanted[inside]
        period = _period(span, hit)
        if period is None:
            continue
        residues = sorted(set((span[hit] % period).tolist()))
        yield _residue_rule(period, residues, sizes, low, top, h)
        if top == high:
            return


def _period(span: Sizes, hit: NDArray[np.bool_]) -> int | None:
    """The least p such that membership depends on the size modulo p alone, seen over at least two periods."""
    first, last = int(span[0]), int(span[-1])
    if len(span) != last - first + 1:
        return _sparse_period(span, hit)
    for p in range(2, min(_MAX_PERIOD, len(span) // 2) + 1):
        if np.array_equal(hit[p:], hit[:-p]):
            return p
    return None


def _sparse_period(span: Sizes, hit: NDArray[np.bool_]) -> int | None:
    for p in range(2, min(_MAX_PERIOD, int(span[-1] - span[0]) // 2) + 1):
        residues = span % p
        inside = np.zeros(p, dtype=np.bool_)
        inside[residues[hit]] = True
        if np.array_equal(inside[residues], hit):
            return p
    return None


def _residue_rule(period: int, residues: list[int], sizes: Sizes, low: int, top: int, h: str) -> Rule:
    def test(x: Sizes) -> NDArray[np.bool_]:
        return np.isin(x % period, residues) & (x >= low) & (x <= top)

    below = sizes[sizes < low]
    bounds = []
    if np.isin(below % period, residues).any():
        bounds.append((">=", low))
    if top < int(sizes[-1]):
        bounds.append(("<=", top))
    if period == 2:
        return Rule(_bounded(f"{'even' if residues == [0] else 'odd'} {h}", bounds, h, bare=True), test)
    others = [r for r in range(period) if r not in residues]
    if len(residues) == 1:
        text = f"{h} % {period} == {residues[0]}"
    elif len(others) == 1:
        text = f"{h} % {period} != {others[0]}"
    elif len(in_rows(residues)) > _MAX_RESIDUES:
        return Rule("", lambda x: np.zeros(len(x), dtype=np.bool_))
    else:
        text = f"{h} % {period} in {{{', '.join(in_rows(residues))}}}"
    return Rule(_bounded(text, bounds, h), test)


def _bounded(text: str, bounds: Sequence[tuple[str, int]], h: str, *, bare: bool = False) -> str:
    """`odd h >= 5`, or `h >= 36 and h % 16 in {...}`."""
    if not bounds:
        return text
    if bare and len(bounds) == 1:
        return f"{text} {bounds[0][0]} {bounds[0][1]}"
    return " and ".join([*(f"{h} {sign} {bound}" for sign, bound in bounds), text])


def _with_exceptions(sizes: Sizes, wanted: NDArray[np.bool_], h: str) -> Iterator[Rule]:
    """A few small sizes, then a rule: `2, or h >= 6 and h % 4 == 2`."""
    listed = sizes[wanted].tolist()
    for count in range(1, min(_MAX_STRAYS, len(listed) - 1) + 1):
        strays, start = listed[:count], listed[count]
        rest = sizes >= start
        for rule in _tail_rules(sizes[rest], wanted[rest], sizes, start, h):
            text = f"{in_words(strays)}, or {rule.text}"
            yield Rule(text, _any([_among(strays), _from(start, rule.test)]))


def _tail_rules(tail: Sizes, hit: NDArray[np.bool_], sizes: Sizes, start: int, h: str) -> Iterator[Rule]:
    if hit.all():
        yield Rule(f"{h} >= {start}", lambda x: x >= start)
        return
    period = _period(tail, hit)
    if period is not None:
        residues = sorted(set((tail[hit] % period).tolist()))
        rule = _residue_rule(period, residues, sizes, start, int(sizes[-1]), h)
        if rule.text:
            yield rule


def _runs(sizes: Sizes, wanted: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Unbroken stretches of wanted sizes, by first and last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    return [(int(sizes[a]), int(sizes[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _among(numbers: Sequence[int]) -> Test:
    return lambda x: np.isin(x, numbers)


def _any(tests: Sequence[Test]) -> Test:
    return lambda x: np.logical_or.reduce([test(x) for test in tests])


def _from(start: int, test: Test) -> Test:
    return lambda x: test(x) & (x >= start)
