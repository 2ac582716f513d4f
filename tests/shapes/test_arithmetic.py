"""Every formula against torch itself: sizes, and refusals."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.shapes import arithmetic as sizes
from skipstone.shapes.arithmetic import FloorMap, SizeError


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def ours(function, *arguments, **options):
    """The size, or None for a refusal."""
    try:
        return function(*arguments, **options)
    except SizeError:
        return None


def torchs(function, *arguments, **options):
    try:
        return function(*arguments, **options).shape[-1]
    except (RuntimeError, ValueError):
        return None


def test_convolution() -> None:
    count = 0
    for size, kernel, stride, padding, dilation in product(
        range(1, 18), range(1, 6), (1, 2, 3, 4), range(4), (1, 2, 3)
    ):
        want = torchs(F.conv1d, meta(1, 1, size), meta(1, 1, kernel), None, stride, padding, dilation)
        want = want or None  # torch 2.6 gives an empty map where the kernels refuse
        assert ours(sizes.conv_size, size, kernel, stride, padding, dilation) == want, (size, kernel, stride, padding)
        count += 1
    assert count == 4080


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling(ceil_mode: bool) -> None:
    for size, kernel, stride, padding, dilation in product(range(1, 20), range(1, 5), (1, 2, 3, 5), range(4), (1, 2)):
        settings = {"padding": padding, "ceil_mode": ceil_mode}
        where = (size, kernel, stride, padding, dilation)
        want = torchs(F.max_pool1d, meta(1, 1, size), kernel, stride, dilation=dilation, **settings)
        assert ours(sizes.pool_size, size, kernel, stride, dilation=dilation, **settings) == want, where
        if dilation == 1:
            want = torchs(F.avg_pool1d, meta(1, 1, size), kernel, stride, **settings)
            assert ours(sizes.pool_size, size, kernel, stride, **settings) == want, where


def test_transposed_convolution() -> None:
    grid = product(range(1, 8), range(1, 5), (1, 2, 3), range(3), range(3), (1, 2))
    for size, kernel, stride, padding, spare, dilation in grid:
        want = torchs(
            F.conv_transpose1d,
            torch.zeros(1, 1, size),
            torch.zeros(1, 1, kernel),
            None,
            stride,
            padding,
            spare,
            1,
            dilation,
        )
        got = ours(sizes.conv_transpose_size, size, kernel, stride, padding, spare, dilation)
        assert got == want, (size, kernel, stride, padding, spare, dilation)


@pytest.mark.parametrize("mode", ["constant", "reflect", "circular", "replicate"])
def test_padding_and_cropping(mode: str) -> None:
    for size, before, after in product(range(1, 7), range(-3, 8), range(-3, 8)):
        if mode != "constant" and min(before, after) < 0:
            continue
        want = torchs(F.pad, torch.zeros(1, 1, size), (before, after), mode=mode)
        want = None if want == 0 else want
        assert ours(sizes.pad_size, size, before, after, mode) == want, (size, before, after)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_unshuffle(factor: int) -> None:
    for channels, height, width in product(range(1, 20), range(1, 8), (1, 4, 6)):
        want = _shape(F.pixel_unshuffle, meta(1, channels, height, width), factor)
        assert ours(sizes.unshuffle_size, channels, (height, width), factor) == want


def _shape(function, *arguments) -> tuple[int, ...] | None:
    try:
        return tuple(function(*arguments).shape[1:])
    except RuntimeError:
        return None


def test_chains_of_floor_maps_are_floor_maps() -> None:
    windows = [(1, 1, 0, 1), (3, 2, 1, 1), (2, 2, 0, 1), (5, 3, 2, 1), (3, 1, 2, 2), (7, 2, 3, 1)]
    for first, second, third in product(windows, repeat=3):
        chain = FloorMap.conv(*first).then(FloorMap.conv(*second)).then(FloorMap.conv(*third))
        for size in range(20, 60):
            want = sizes.conv_size(sizes.conv_size(sizes.conv_size(size, *first), *second), *third)
            assert chain(size) == want


def test_equal_floor_maps_are_equal_functions_and_others_are_not() -> None:
    maps = {FloorMap(stride, shift) for stride, shift in product(range(1, 5), range(-3, 5))}
    for one, two in product(maps, maps):
        same = all(one(size) == two(size) for size in range(50))
        assert same == (one == two), (one, two)


def test_floor_maps_of_pooling_hold_wherever_they_are_given() -> None:
    for kernel, stride, padding, ceil_mode in product(range(1, 5), range(1, 5), range(3), (False, True)):
        made = FloorMap.pool(kernel, stride, padding, ceil_mode=ceil_mode)
        for size in range(1, 30):
            want = ours(sizes.pool_size, size, kernel, stride, padding, ceil_mode=ceil_mode)
            assert want is None or made is None or made(size) == want, (kernel, stride, padding, ceil_mode, size)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (FloorMap(), "h"),
        (FloorMap(1, 2), "h + 2"),
        (FloorMap(1, -1), "h - 1"),
        (FloorMap(2, 0), "floor(h / 2)"),
        (FloorMap(2, 1), "ceil(h / 2)"),
        (FloorMap(4, 12), "floor((h + 12) / 4)"),
    ],
)
def test_floor_maps_in_words(made: FloorMap, text: str) -> None:
    assert str(made) == text


def test_costs_of_convolutions() -> None:
    for kernel, groups, bias in product(((1, 1), (3, 3), (3, 5)), (1, 2, 4), (False, True)):
        layer = nn.Conv2d(8, 12, kernel, groups=groups, bias=bias)
        cost = sizes.conv_cost(8, 12, kernel, (5, 7), groups, bias)
        assert cost.num_parameters == sum(p.numel() for p in layer.parameters())
        assert cost.macs == layer.weight.numel() * 35
        assert cost.activation_bytes == 4 * 12 * 35


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: sizes.conv_size(3, 7), r"a kernel that covers 7 does not fit 3 \+ 2\*0 = 3"),
        (lambda: sizes.pool_size(8, 2, padding=2), "padding of 0 to half the kernel, 1; not 2"),
        (lambda: sizes.conv_transpose_size(4, 2, 2, output_padding=2), r"under max\(stride, dilation\) = 2; not 2"),
        (lambda: sizes.conv_size(8, 3, 0), "stride must be at least 1, not 0"),
        (lambda: sizes.unshuffle_size(4, (8, 9), 2), "wants sizes divisible by it, not 9"),
        (lambda: sizes.pad_size(4, 5, 0, "reflect"), "can add 3 on a side, not 5"),
        (lambda: sizes.conv_cost(6, 4, (1,), (1,), groups=4), "4 groups must divide 6 input and 4 output channels"),
    ],
)
def test_refusals_name_the_value_and_what_would_be_right(call, text: str) -> None:
    with pytest.raises(SizeError, match=text):
        call()
