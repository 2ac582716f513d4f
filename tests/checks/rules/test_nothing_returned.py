"""Nothing returned: told at the module that forgot, wherever the None surfaces; silent on calls for effect alone."""

import pytest
import torch
from torch import nn

from networks import conv
from skipstone.checks import check

MAP = (2, 8, 8, 8)


class Forgets(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)

    def forward(self, x):
        x = x + self.a(x)


class SomeWays(Forgets):
    def forward(self, x):  # noqa: RET503
        if x.shape[0] > 100:
            return x
        x = x + self.a(x)


class GivesLayer(Forgets):
    def forward(self, x):
        return self.a


class Returns(Forgets):
    def forward(self, x):
        return x + self.a(x)


class Before(nn.Module):
    """The result is read by a layer, a sum or a concatenation."""

    def __init__(self, block, use):
        super().__init__()
        self.block, self.out, self.use = block(), conv(8, 8), use

    def forward(self, x):
        y = self.block(x)
        if self.use == "layer":
            return self.out(y)
        return x + y if self.use == "sum" else torch.cat([x, y], 1)


class HandsOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Forgets()

    def forward(self, x):
        return self.block(x)


class Watches(nn.Module):
    """A module that keeps a statistic and returns nothing, called for that alone; another fault behind it."""

    class Meter(nn.Module):
        def forward(self, x):
            self.last = x.shape

    def __init__(self, short=None):
        super().__init__()
        self.meter, self.a, self.short = self.Meter(), conv(8, 8), short

    def forward(self, x):
        self.meter(x)
        return self.a(x) + self.short(x)


def told(model):
    return [(f.rule, f.module) for f in check(model, MAP, repairs=False, sizes=False).errors]


@pytest.mark.parametrize("use", ["layer", "sum", "cat"])
def test_the_block_is_named_not_the_reader(use):
    assert told(Before(Forgets, use)) == [("nothing-returned", "block")]
    assert told(Before(Returns, use)) == []


@pytest.mark.parametrize("kind", [Forgets, SomeWays, GivesLayer])
def test_the_network_itself(kind):
    assert told(kind()) == [("nothing-returned", "")]
    assert not isinstance(kind()(torch.zeros(MAP)), torch.Tensor)


def test_the_innermost_that_forgot():
    assert told(HandsOn()) == [("nothing-returned", "block")]


def test_a_call_for_its_effect_is_not_to_blame():
    assert told(Watches()) == [("own-error", "")]
    assert told(Watches(nn.Identity())) == []


def test_text(text, golden):
    finding = check(Before(Forgets, "layer"), MAP).errors[0]
    golden("nothing-returned.txt", text(finding))
