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


class Helps(Forgets):
    """A method of its own, called for its value or for its effect."""

    def body(self, x):
        y = torch.relu(self.a(x))  # noqa: F841 - the fault

    def note(self, x):
        self.seen = x.shape

    def forward(this, x):  # noqa: N805 - whatever it is called
        this.note(x)
        return x + this.body(x)


class TwoWays(Helps):
    """Nothing is sure of a method that returns in one of its ways."""

    def body(self, x):  # noqa: RET503
        if x.shape[0] > 100:
            return x


class NothingSet(Helps):
    """The None is another one: the method is called for its effect."""

    scale = None

    def forward(self, x):
        self.note(x)
        return x * self.scale


def test_a_helper_without_a_return():
    (finding,) = check(nn.Sequential(conv(8, 8), Helps()), MAP).errors
    assert (finding.code, finding.module) == ("SK113", "1")
    assert finding.message == "Helps.body returns nothing: it has no `return`"
    assert finding.place is not None
    assert finding.place.function.endswith("Helps.body")


@pytest.mark.parametrize("kind", [TwoWays, NothingSet])
def test_another_none_is_not_blamed_on_a_helper(kind):
    (finding,) = check(nn.Sequential(conv(8, 8), kind()), MAP).errors
    assert finding.code == "SK111"
