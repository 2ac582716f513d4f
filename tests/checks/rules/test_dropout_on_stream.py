"""Dropout on the stream: told where the sum itself is dropped, block by block; silent on branches, heads and graphs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import mlp

TOKENS = (2, 10, 16)


class OnSum(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.body, self.drop, self.norm = mlp(), nn.Dropout(p), nn.LayerNorm(16)

    def forward(self, x):
        return self.norm(self.drop(x + self.body(x)))


class PreNorm(OnSum):
    def forward(self, x):
        return F.dropout(x + self.body(self.norm(x)), 0.1, self.training)


class OnBranch(OnSum):
    def forward(self, x):
        return self.norm(x + self.drop(self.body(x)))


def row(kind, count=2, *rest):
    return lambda: nn.Sequential(*(kind() for _ in range(count)), *rest)


class Head(nn.Module):
    """One dropout before the classifier, which people put there on purpose."""

    def __init__(self):
        super().__init__()
        self.blocks, self.drop, self.out = row(OnBranch)(), nn.Dropout(0.5), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.drop(self.blocks(x) + x))


class Steps(nn.Module):
    """Convolutions over time, whose sums speech networks drop on purpose."""

    def __init__(self):
        super().__init__()
        self.conv, self.drop = nn.Conv1d(10, 10, 3, padding=1), nn.Dropout(0.15)

    def forward(self, x):
        return self.drop(torch.relu(self.conv(x)) + x)


class Nodes(nn.Module):
    """A graph network that drops node features after every sum, as published benchmarks of them do."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        edges = torch.zeros(8, dtype=torch.int64)
        for layer in self.layers:
            x = F.dropout(x + layer(x.index_select(1, edges)).mean(1, keepdim=True), 0.5, self.training)
        return x


@pytest.mark.parametrize("kind", [OnSum, PreNorm])
def test_found_once_for_all_blocks(found, kind):
    (finding,) = found(row(kind, 3), TOKENS)
    assert (finding.rule, finding.module) == ("dropout-on-stream", "0")
    assert finding.notes == ("the same in 1, 2",)


@pytest.mark.parametrize("kind", [row(OnBranch), row(OnSum, 1), row(lambda: OnSum(0.0)), Head, row(Steps), Nodes])
def test_left_alone(found, kind):
    assert found(kind, TOKENS) == ()


def test_the_identity_fades():
    torch.manual_seed(0)
    model = row(PreNorm, 12)()
    for block in model:
        nn.init.zeros_(block.body[2].weight), nn.init.zeros_(block.body[2].bias)
    kept = (model(torch.ones(TOKENS)) != 0).float().mean()
    assert kept < 0.4


def test_text(found, text, golden):
    golden("dropout-on-stream.txt", text(found(row(OnSum), TOKENS)[0]))
