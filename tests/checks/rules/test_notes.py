"""Notes: what each tells, and that it stays silent where the order, the width or the precision matters."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.checks import check

MAP = (2, 16, 16, 16)


def rules(notes, model, shape=MAP):
    return [finding.rule for finding in notes(model, shape)]


class Branch(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch, shortcut=None):
        super().__init__()
        self.branch = nn.Sequential(*branch)
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.branch(x)


def convs():
    return nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)


def test_relu_before_the_addition(notes):
    assert rules(notes, Branch(*convs(), nn.ReLU())) == ["relu-before-add"]
    assert rules(notes, Branch(*convs())) == []


def test_a_projection_where_the_identity_fits(notes):
    (note,) = notes(Branch(*convs(), shortcut=nn.Conv2d(16, 16, 1)), MAP)
    assert note.rule == "needless-projection"
    assert "272 parameters" in note.message


def test_a_projection_that_is_needed_or_folded(notes):
    wider = Branch(
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), shortcut=nn.Conv2d(16, 32, 1)
    )
    assert rules(notes, wider) == []
    folded = Branch(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), shortcut=nn.Conv2d(16, 16, 1))
    assert rules(notes, folded) == []  # RepVGG: both branches become one convolution


def test_an_average_pool_behind_a_pointwise_convolution(notes):
    model = nn.Sequential(nn.Conv2d(16, 64, 1), nn.AvgPool2d(4))
    (note,) = notes(model, (1, 16, 16, 16))
    assert note.rule == "pool-after-pointwise"
    assert "262,144" in note.message
    assert "16,384" in note.message
    x = torch.randn(1, 16, 16, 16, dtype=torch.float64)
    model = model.double()
    torch.testing.assert_close(model(x), model[0](model[1](x)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(16, 64, 1), nn.MaxPool2d(4)),  # a maximum does not commute
        (nn.Conv2d(16, 64, 1), nn.ReLU(), nn.AvgPool2d(4)),
        (nn.Conv2d(16, 64, 1), nn.BatchNorm2d(64), nn.AvgPool2d(4)),
        (nn.Conv2d(16, 64, 3, padding=1), nn.AvgPool2d(4)),
        (nn.Conv2d(16, 64, 1), nn.AvgPool2d(4, padding=1)),  # the padding's zeros would take the bias
    ],
)
def test_pooling_where_the_order_matters(notes, layers):
    assert rules(notes, nn.Sequential(*layers)) == []


def test_pooling_with_padding_and_no_bias_commutes(notes):
    assert rules(notes, nn.Sequential(nn.Conv2d(16, 64, 1, bias=False), nn.AvgPool2d(4, padding=1))) == [
        "pool-after-pointwise"
    ]


class Scaled(nn.Module):
    """x + gamma * linear(x), with gamma learned."""

    def __init__(self, gamma, dtype):
        super().__init__()
        self.linear = nn.Linear(8, 8, dtype=dtype)
        self.gamma = nn.Parameter(torch.full((8,), gamma, dtype=dtype))

    def forward(self, x):
        return x + self.gamma * self.linear(x)


@pytest.mark.parametrize(
    ("gamma", "dtype", "told"),
    [
        (1e-6, torch.bfloat16, True),
        (1e-6, torch.float16, True),
        (1e-6, torch.float32, False),
        (0.1, torch.bfloat16, False),
        (0.0, torch.bfloat16, False),  # ReZero: zero on purpose, and it learns
    ],
)
def test_a_branch_lost_in_rounding(notes, gamma, dtype, told):
    model, x = Scaled(gamma, dtype), torch.randn(4, 8).to(dtype)
    assert [note.rule for note in notes(model, x)] == ["lost-in-rounding"] * told
    if told:
        assert torch.equal(model(x), x)


def test_a_long_chain(notes):
    def plain(depth):
        return nn.Sequential(*(nn.Conv2d(16, 16, 3, padding=1) for _ in range(depth)))

    assert rules(notes, plain(31)) == ["long-chain"]
    assert rules(notes, plain(30)) == []
    assert rules(notes, nn.Sequential(plain(20), Branch(*convs()), plain(20))) == []


def test_a_rectified_branch_is_said_once(notes):
    class Post(Branch):
        def forward(self, x):
            return F.relu(super().forward(x))

    model = Post(*convs(), nn.ReLU())
    assert notes(model, MAP) == []
    assert [finding.rule for finding in check(model, MAP, repairs=False, sizes=False).warnings] == ["rectified-branch"]
