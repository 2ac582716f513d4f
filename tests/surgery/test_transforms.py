"""One meaning a transform: its live function, its source text and its words, held together by running both."""

import pkgutil
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone.core.edit import ModuleSpec, TransformKind
from skipstone.surgery import transforms
from skipstone.surgery.transforms import MEANINGS, Use, helper_lines

KINDS = get_args(TransformKind)
sizes = st.integers(1, 6)


def test_every_kind_has_a_file_and_a_row():
    assert set(MEANINGS) == set(KINDS)
    files = {info.name for info in pkgutil.iter_modules(transforms.__path__)} - {"meaning"}
    assert files == {kind.replace("-", "_") for kind in KINDS}
    for kind, meaning in MEANINGS.items():
        assert getattr(transforms, kind.replace("-", "_")).MEANING is meaning


@st.composite
def uses(draw, kind):
    """(use, operand, the one whose size is wanted) for which the transform is defined."""
    rank = draw(st.integers(3, 5))
    shape = [draw(sizes) for _ in range(rank)]
    like = [*shape[:2], *(draw(sizes) for _ in shape[2:])]
    op, axes, dims = draw(st.sampled_from(["add", "cat", "stack"])), None, ()
    if kind.endswith("-like") and kind != "expand-like" and draw(st.booleans()):
        axes = tuple(draw(st.sets(st.integers(1, rank - 1), min_size=1)))
        like = [draw(sizes) if n in axes else size for n, size in enumerate(shape)]
    if kind == "interpolate-grid-like":
        grid = tuple(draw(sizes) for _ in range(5))
        shape, like = [2, grid[0] + grid[1] * grid[2], 3], [2, grid[0] + grid[3] * grid[4], 3]
        return Use(op, (1, 1), grid=grid), torch.randn(shape), torch.randn(like)
    if kind == "expand-like":
        first = 2 if op in ("cat", "stack") else 0
        shape = [1 if n >= first and draw(st.booleans()) else size for n, size in enumerate(like)]
    if kind == "permute":
        dims = tuple(draw(st.permutations(range(rank))))
    if kind == "unsqueeze":
        dims = tuple(draw(st.integers(0, rank + n)) for n in range(draw(st.integers(1, 2))))
    module = ModuleSpec("Tanh") if kind == "module" else None
    return Use(op, axes, dims, module, "fit" if module else "", "holder"), torch.randn(shape), torch.randn(like)


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fit = nn.Tanh()


@pytest.mark.parametrize("text", ["x", "f(x)", "x + 0", "0 + f(x)", "(x)", "(y := x)", "0 + (y := x)"])
@pytest.mark.parametrize("kind", KINDS)
def test_live_and_source_are_equal(kind, text):
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(uses(kind))
    def equal(case):
        use, x, like = case
        meaning, holder = MEANINGS[kind], Holder()
        live = meaning.live(use)(x, like, holder)
        names = {"torch": torch, "x": x, "like": like, "holder": holder, "f": lambda t: t}
        if (helper := meaning.helper(use)) is not None:
            exec("\n".join(helper_lines(helper)), names)
        written = eval(meaning.source(use, text, "like"), names)
        assert torch.equal(live, written)

    equal()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told(kind):
    use = Use("add", None, (0, 2, 1), ModuleSpec("Tanh"), "fit")
    told = MEANINGS[kind].told(use, "the second operand", "the first operand")
    assert "the second operand" in told
    assert ("the first operand" in told) == kind.endswith("-like")
    assert "{" not in told
