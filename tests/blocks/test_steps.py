"""Plans as modules: the shape the arithmetic says, the cost it says, the code that makes the same module."""

from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone.blocks import build, code, shortcut_between
from skipstone.blocks.parts.steps import Unshuffle
from skipstone.shapes.arithmetic import FloorMap, SizeError
from skipstone.shapes.reconcile import named, reconcile


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(1, 17), st.integers(1, 17)), min_size=0, max_size=3),
)
def test_every_plan_built_gives_the_target_at_the_cost_stated(
    channels: int, wanted: int, axes: list[tuple[int, int]]
) -> None:
    source = (channels, *(size for size, _ in axes))
    target = (wanted, *(size for _, size in axes))
    for plan in islice(reconcile(source, target), 12):
        module = build(plan)
        y = module(torch.randn(2, *source))
        assert y.shape == (2, *target), plan.name
        assert y.isfinite().all()
        assert sum(p.numel() for p in module.parameters()) == plan.cost.num_parameters
        assert macs(module, source) == plan.cost.macs


def macs(module: nn.Module, source: tuple[int, ...]) -> int:
    """Multiply-adds of one example, counted on the running module."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            total += layer.weight.numel() * output[0, 0].numel()
        elif isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            total += layer.weight.numel() * inputs[0][0, 0].numel()

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    module(torch.zeros(1, *source))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize(
    ("source", "target", "name", "text"),
    [
        ((16, 16, 16), (64, 4, 4), "projection", "nn.Conv2d(16, 64, 1, stride=4, bias=False)"),
        ((3, 34, 34), (8, 10, 10), "strided_conv", "nn.Conv2d(3, 8, 5, stride=3, bias=False)"),
        ((16, 9, 9), (16, 5, 5), "avg_pool", "nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False)"),
        ((16, 8, 8), (16, 7, 7), "crop", "nn.ZeroPad2d((0, -1, 0, -1))"),
        ((4, 10), (4, 21), "transposed_conv", "nn.ConvTranspose1d(4, 4, 2, stride=2, output_padding=1, bias=False)"),
        ((8, 4, 4), (8, 8, 8), "interpolate", "nn.Upsample((8, 8), mode='bilinear')"),
        ((64,), (128,), "projection", "nn.Linear(64, 128, bias=False)"),
        ((4, 8, 8), (4, 8, 8), "identity", "nn.Identity()"),
        ((4, 8, 8), (16, 4, 4), "unshuffle_avg_pool", "nn.PixelUnshuffle(2)"),
        ((4, 9), (4, 4), "adaptive_avg_pool", "nn.AdaptiveAvgPool1d(4)"),
        ((4, 9), (4, 3), "avg_pool", "nn.AvgPool1d(3, stride=3)"),
        ((4, 9, 9), (8, 5, 5), "option_a", None),
    ],
)  # fmt: skip
def test_code_makes_the_same_module(
    source: tuple[int, ...], target: tuple[int, ...], name: str, text: str | None
) -> None:
    plan = named(reconcile(source, target), name)
    assert code(plan) == text
    if text is not None:
        typed, built = eval(text, {"nn": nn}), build(plan)
        typed.load_state_dict(built.state_dict())
        x = torch.randn(2, *source)
        torch.testing.assert_close(typed(x), built(x))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=2, max_size=2),
)
def test_all_code_there_is_makes_the_same_module(channels: int, wanted: int, axes: list[tuple[int, int]]) -> None:
    source = (channels, *(size for size, _ in axes))
    target = (wanted, *(size for _, size in axes))
    for plan in reconcile(source, target):
        text = code(plan)
        if text is not None:
            typed, built = eval(text, {"nn": nn}), build(plan)
            typed.load_state_dict(built.state_dict())
            x = torch.randn(1, *source)
            torch.testing.assert_close(typed(x), built(x))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_unshuffling_is_torch_s_in_two_dimensions_and_keeps_every_value_in_others(factor: int) -> None:
    x = torch.randn(2, 3, 6, 12)
    assert torch.equal(Unshuffle(factor)(x), F.pixel_unshuffle(x, factor))
    for dims in (1, 3):
        x = torch.randn(2, 3, *[6] * dims)
        y = Unshuffle(factor)(x)
        assert y.shape == (2, 3 * factor**dims, *[6 // factor] * dims)
        assert torch.equal(y.flatten().sort().values, x.flatten().sort().values)
        assert torch.equal(y[:, 0], x[(slice(None), 0, *[slice(None, None, factor)] * dims)])


# The identities of the reference sheet's shape section, on the planner's own modules.
def test_average_pooling_and_a_1x1_can_change_places() -> None:
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    pool, one = nn.AvgPool2d(2, 2, 1, count_include_pad=False), nn.Conv2d(4, 8, 1).double()
    torch.testing.assert_close(one(pool(x)), pool(one(x)), rtol=0, atol=1e-14)
    counted = nn.AvgPool2d(2, 2, 1, count_include_pad=True)
    assert (one(counted(x)) - counted(one(x))).abs().max() > 1e-3
    largest = nn.MaxPool2d(2)
    assert (one(largest(x)) - largest(one(x))).abs().max() > 0.1


def test_a_strided_1x1_is_a_subsample_and_a_1x1() -> None:
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    strided = build(named(reconcile((4, 9, 9), (8, 5, 5)), "projection")).double()
    assert torch.equal(strided(x), F.conv2d(x[:, :, ::2, ::2], strided.weight))


def test_a_convolution_as_wide_as_its_stride_is_an_unshuffle_and_a_1x1() -> None:
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    weight = torch.randn(6, 4, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(F.conv2d(x, weight, stride=2), F.conv2d(Unshuffle(2)(x), weight.reshape(6, 16, 1, 1)))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 3), st.integers(1, 4), st.integers(0, 1), st.sampled_from([(4, 4), (4, 6)]))
def test_a_plan_made_again_from_its_arguments_is_the_same_plan(
    size: int, stride: int, kernel: int, padding: int, channels: tuple[int, int]
) -> None:
    """The branch's size maps are among the arguments: without them a pooling that rounds up may come back rounding
    down, right at the example's size and wrong at others."""
    branch = nn.Conv1d(*channels, kernel, stride, padding)
    if size + 2 * padding < kernel:
        return
    wanted = branch(torch.zeros(1, channels[0], size)).shape[-1]
    follow = (FloorMap.conv(kernel, stride, padding),)
    for plan in reconcile((channels[0], size), (channels[1], wanted), follow):
        again = shortcut_between(**plan.arguments)
        assert str(again) == str(build(plan))
        if plan.every_size:
            for other in range(max(8, kernel), 30):
                x = torch.zeros(1, channels[0], other)
                assert again(x).shape == branch(x).shape, (plan, other)


def test_without_its_maps_a_plan_would_come_back_rounding_down() -> None:
    up = FloorMap.conv(3, 2, 1)
    plan = named(reconcile((4, 8), (4, 4), (up,)), "avg_pool")
    assert shortcut_between(**plan.arguments).ceil_mode is True
    assert shortcut_between(plan.source, plan.target, plan.name).ceil_mode is False


def test_shortcuts_that_cannot_be() -> None:
    with pytest.raises(SizeError, match="no plan 'auto' fits these shapes; possible: none: the numbers of axes differ"):
        shortcut_between((3, 8), (3, 8, 8))
