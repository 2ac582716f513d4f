"""Random networks of odd pieces: the checker has an error exactly where torch, really run, raises."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone.checks import check

CHANNELS = 4


class Conv(nn.Module):
    """A convolution whose width may be wrong, added to its input or not."""

    def __init__(self, width, kernel, stride, padding, dilation, skip, mode):
        super().__init__()
        self.conv = nn.Conv2d(width, CHANNELS, kernel, stride, padding, dilation, padding_mode=mode)
        self.skip = skip

    def forward(self, x, side):
        y = self.conv(x)
        return x + y if self.skip else y


class Up(nn.Module):
    def __init__(self, kernel, stride, padding, output_padding, dilation):
        super().__init__()
        self.up = nn.ConvTranspose2d(CHANNELS, CHANNELS, kernel, stride, padding, output_padding, dilation=dilation)

    def forward(self, x, side):
        return self.up(x)


class Unpool(nn.Module):
    """Pooled with indices, and back: with or without the size of the map before, perhaps added to it."""

    def __init__(self, kernel, sized, skip):
        super().__init__()
        self.pool, self.unpool = nn.MaxPool2d(kernel, return_indices=True), nn.MaxUnpool2d(kernel)
        self.sized, self.skip = sized, skip

    def forward(self, x, side):
        y, indices = self.pool(x)
        y = self.unpool(y, indices, output_size=x.shape) if self.sized else self.unpool(y, indices)
        return x + y if self.skip else y


class Cast(nn.Module):
    """Another precision, and perhaps back before the next layer."""

    def __init__(self, dtype, back):
        super().__init__()
        self.dtype, self.back = dtype, back

    def forward(self, x, side):
        y = x.to(self.dtype) * 2
        return y.float() if self.back else y


class Reshape(nn.Module):
    """Places in rows of `count`, and back to the map."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, x, side):
        return x.view(x.shape[0], CHANNELS, -1, self.count).reshape(x.shape)


class Flat(nn.Module):
    """A linear layer over all that a sample holds, made for maps of `size`."""

    def __init__(self, size):
        super().__init__()
        self.linear, self.size = nn.Linear(CHANNELS * size * size, CHANNELS * size * size), size

    def forward(self, x, side):
        return self.linear(x.flatten(1)).view(-1, CHANNELS, self.size, self.size)


class Side(nn.Module):
    """The second input joined: as it is, behind its own axes, or made as large as the map."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def forward(self, x, side):
        if self.way == "as it is":
            return x + side
        if self.way == "axes":
            return x * side[:, :, None, None]
        return x + F.interpolate(side[:, :, None, None], x.shape[2:])


class Pad(nn.Module):
    def __init__(self, widths, mode):
        super().__init__()
        self.widths, self.mode = widths, mode

    def forward(self, x, side):
        return F.pad(x, self.widths, mode=self.mode)


SMALL = st.integers(1, 3)
PIECES = st.one_of(
    st.builds(Conv, st.sampled_from([CHANNELS, CHANNELS, CHANNELS, 5]), SMALL, st.integers(1, 2), st.integers(0, 2),
              st.integers(1, 3), st.booleans(), st.sampled_from(["zeros", "zeros", "circular", "reflect"])),
    st.builds(Up, SMALL, st.integers(1, 2), st.integers(0, 1), st.integers(0, 2), st.integers(1, 2)),
    st.builds(Unpool, st.integers(2, 3), st.booleans(), st.booleans()),
    st.builds(Cast, st.sampled_from([torch.float64, torch.bfloat16, torch.float32]), st.booleans()),
    st.builds(Reshape, st.sampled_from([1, 2, 3])),
    st.builds(Flat, st.sampled_from([6, 8])),
    st.builds(Side, st.sampled_from(["as it is", "axes", "resampled"])),
    st.builds(Pad, st.sampled_from([(1, 1, 1, 1), (0, 1, 0, 0), (3, 3, 3, 3), (-1, -1, 0, 0)]),
              st.sampled_from(["constant", "reflect", "circular", "replicate"])),
)  # fmt: skip


class Row(nn.Module):
    """The pieces one after the other, each given the second input too."""

    def __init__(self, pieces):
        super().__init__()
        self.pieces = nn.ModuleList(pieces)

    def forward(self, x, side):
        for piece in self.pieces:
            x = piece(x, side)
        return x


def runs(model, inputs):
    """Does torch run it? Where the largest values lie decides whether an unpooling's indices fit: not asked."""
    try:
        output = model(*inputs)
        if output.requires_grad:
            output.float().square().sum().backward()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        assume("invalid max index" not in str(error))
        return False
    return True


def agree(pieces, size):
    model, shapes = Row(pieces), ((2, CHANNELS, size, size), (2, CHANNELS))
    report = check(model, shapes, repairs=False, sizes=False)
    assume("invalid max index" not in str(report))  # in the checker's own run
    assert bool(report.errors) != runs(model, [torch.randn(shape) for shape in shapes]), report


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from([6, 8, 9]))
def test_an_error_where_torch_raises_and_nowhere_else(pieces, size):
    agree(pieces, size)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(12))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=5), st.sampled_from([6, 7, 8, 9]))
def test_an_error_where_torch_raises_at_length(part, pieces, size):
    agree(pieces, size)


def key(finding):
    return finding.rule, finding.module, finding.message


def mends(model, shapes, inputs, finding, *, alone):
    """Every repair takes its own finding away; where that is the only one, what is not said to be unrun runs."""
    for repair in finding.repairs:
        mended = repair.apply(model)
        assert key(finding) not in map(key, check(mended, shapes, repairs=False, sizes=False).errors), repair
        if alone and "not run" not in repair.effect:
            assert runs(mended, inputs), repair


@pytest.mark.slow
@pytest.mark.parametrize("part", range(6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from([6, 8, 9]))
def test_every_repair_repairs(part, pieces, size):
    model, shapes = Row(pieces), ((2, CHANNELS, size, size), (2, CHANNELS))
    inputs = [torch.randn(shape) for shape in shapes]
    if runs(model, inputs):
        return
    report = check(model, shapes, sizes=False)
    assume("invalid max index" not in str(report))
    for finding in report.errors:
        mends(model, shapes, inputs, finding, alone=len(report.errors) == 1)
