"""ResNeXt: the grouped branch is the sum of its paths."""

import pytest
import torch
import torch.nn.functional as F

from skipstone.blocks.resnext import resnext_block


@pytest.mark.parametrize("cardinality", [2, 4, 8])
def test_the_grouped_branch_equals_the_sum_of_its_separate_paths(cardinality: int) -> None:
    torch.manual_seed(0)
    block = resnext_block(16, 64, cardinality=cardinality, base_width=8, norm_name="none").double()
    x = torch.randn(2, 16, 5, 5, dtype=torch.float64)
    first, middle, last = block.branch.conv1, block.branch.conv2, block.branch.conv3
    width = middle.out_channels // cardinality
    total = last.bias.view(1, -1, 1, 1).expand(2, -1, 5, 5)
    for path in range(cardinality):
        part = slice(path * width, (path + 1) * width)
        y = torch.relu(F.conv2d(x, first.weight[part], first.bias[part]))
        y = torch.relu(F.conv2d(y, middle.weight[part], middle.bias[part], padding=1))
        total = total + F.conv2d(y, last.weight[:, part])
    torch.testing.assert_close(block.branch(x), total, rtol=0, atol=1e-12)


def test_the_first_stage_of_the_32x4d_network() -> None:
    block = resnext_block(64, 256)
    assert block.branch.conv2.groups == 32
    assert block.branch.conv2.weight.shape == (128, 4, 3, 3)
