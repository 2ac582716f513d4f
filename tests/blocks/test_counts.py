"""Published networks built of our blocks have the published numbers of parameters.

The networks that `skipstone.models` knows are counted there; these are the rest.
"""

from itertools import pairwise

import pytest
import torch
from torch import nn

from skipstone.blocks.dual_path import dual_path_block
from skipstone.blocks.fractalnet import fractal_block
from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.repvgg import RepVGG
from skipstone.blocks.res2net import res2net_block
from skipstone.blocks.shake_shake import shake_block


@pytest.fixture(autouse=True)
def _no_memory():
    with torch.device("meta"):
        yield


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_res2net_50_of_width_26_and_scale_4() -> None:
    layers, channels = [conv(3, 64, 7, 2), norm(64)], 64
    for stage, (num, out) in enumerate(zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True)):
        for index in range(num):
            stride = 2 if stage and not index else 1
            layers.append(res2net_block(channels, out, stride, width=26 * 2**stage))
            channels = out
    assert count(*layers, nn.Linear(2048, 1000)) == 25_699_120


def test_shake_shake_26_2x32d() -> None:
    layers, channels = [conv(3, 16), norm(16)], 16
    for out in (32, 64, 128):
        for index in range(4):
            layers.append(shake_block(channels, out, 2 if out > 32 and not index else 1))
            channels = out
    assert count(*layers, nn.Linear(128, 10)) == 2_923_162


def test_fractalnet_of_five_blocks_and_three_columns() -> None:
    """The figure often quoted is 38.6 million; this is what the equation gives at the widths 64 to 512."""
    widths = (3, 64, 128, 256, 512, 512)
    layers = [fractal_block(a, b, 3) for a, b in pairwise(widths)]
    assert count(*layers, nn.Linear(512, 10)) == 33_724_618


@pytest.mark.parametrize(
    ("stem", "kernel", "inner", "factor", "groups", "depths", "growths", "want"),
    [
        pytest.param(10, 3, 128, 1, 32, (3, 4, 12, 3), (16, 32, 32, 64), 12_611_602, id="68"),
        pytest.param(64, 7, 96, 4, 32, (3, 4, 20, 3), (16, 32, 24, 128), 37_668_392, id="92"),
        pytest.param(96, 7, 160, 4, 40, (3, 6, 20, 3), (16, 32, 32, 128), 61_570_728, id="98"),
    ],
)
def test_dual_path_networks(
    stem: int,
    kernel: int,
    inner: int,
    factor: int,
    groups: int,
    depths: tuple[int, ...],
    growths: tuple[int, ...],
    want: int,
) -> None:
    layers, channels = [conv(3, stem, kernel, 2), norm(stem)], stem
    for stage, (num, growth) in enumerate(zip(depths, growths, strict=True)):
        residual, width = 64 * factor * 2**stage, inner * 2**stage
        for index in range(num):
            first = index == 0
            stride = 2 if stage and first else 1
            layers.append(
                dual_path_block(
                    channels, residual, growth, width=width, groups=groups, stride=stride, project=first
                )
            )  # fmt: skip
            channels = residual + 3 * growth if first else channels + growth
    assert count(*layers, norm(channels), nn.Linear(channels, 1000)) == want


def test_repvgg_a0_as_trained_and_folded() -> None:
    blocks, channels = [RepVGG(3, 48, 2)], 48
    for num, out in zip((2, 4, 14, 1), (48, 96, 192, 1280), strict=True):
        for index in range(num):
            blocks.append(RepVGG(channels, out, 1 if index else 2))
            channels = out
    head = nn.Linear(1280, 1000)
    assert count(*blocks, head) == 9_108_968
    assert count(*(block.fold() for block in blocks), head) == 8_309_384
