"""An unpooling that rounds otherwise than its pooling: `output_size` at each call, from the map before the pooling."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.checks import check
from skipstone.sizes import legal_sizes


class Halves(nn.Module):
    """Two levels of one pool and one unpool; the skips are added, or not."""

    def __init__(self, adds, functional=False):
        super().__init__()
        self.adds, self.functional = adds, functional
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.convs = nn.ModuleList(nn.Conv2d(k, 4, 3, padding=1) for k in (3, 4, 4, 4))

    def up(self, x, where):
        return F.max_unpool2d(x, where, 2) if self.functional else self.unpool(x, where)

    def forward(self, x):
        first = self.convs[0](x)
        x, one = self.pool(first)
        second = self.convs[1](x)
        x, two = self.pool(second)
        x = self.up(self.convs[2](x), two)
        x = self.up(self.convs[3](x + second if self.adds else x), one)
        return x + first if self.adds else x


@pytest.mark.parametrize(("adds", "functional", "size"), [(True, False, 15), (False, True, 15), (False, False, 14)])
def test_each_call_gets_the_size_before_its_pooling(adds, functional, size):
    model, shape = Halves(adds, functional), (2, 3, size, size)
    repair = next(f.repairs[0] for f in check(model, shape, sizes=False).errors if f.repairs)
    mended = repair.apply(model)
    for seed in range(5):
        torch.manual_seed(seed)
        out = mended(torch.randn(shape))
        out.sum().backward()
        assert out.shape == (2, 4, size, size)
    assert "output_size" in repair.title


def test_even_sizes_are_left_alone():
    assert not check(Halves(True), (2, 3, 16, 16)).errors


def test_a_size_at_which_indices_point_outside_is_not_legal():
    assert set(legal_sizes(Halves(False), (2, 3, "h", "h"), h=range(8, 18)).legal) == {8, 12, 16}
