"""Where finite numbers first give others, and infinities that are meant."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text


class Of(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, self.first(x))


def masked(m, x):
    """Every place of the first row is masked out."""
    mask = torch.ones(8, 8).tril(-1) == 0
    return x.view(-1, 1, 8).expand(-1, 8, 8).masked_fill(mask, float("-inf")).softmax(-1)


def causal(m, x):
    mask = torch.ones(8, 8).tril() == 0
    return x.view(-1, 1, 8).expand(-1, 8, 8).masked_fill(mask, float("-inf")).softmax(-1)


class Poisoned(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.first.weight.data[0, 0] = float("nan")

    def forward(self, x):
        return self.first(x)


class OfTheInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)

    def forward(self, x):
        return self.first(torch.log(x))


FOUND = {
    "root": (Of(lambda m, x: x.sqrt()), "sqrt"),
    "logarithm": (Of(lambda m, x: torch.log(x)), "log"),
    "quotient": (Of(lambda m, x: x / (x - x)), "div"),
    "overflow": (Of(lambda m, x: (x * 1000).exp()), "exp"),
    "row without a place": (Of(masked), "softmax"),
    "one of a kind": (Of(lambda m, x: x[:1] / x[:1].std(0)), "std"),
    "a weight": (Poisoned(), "first.weight holds numbers that are not finite"),
}
LEFT_ALONE = {
    "finite": Of(lambda m, x: x),
    "a causal mask": Of(causal),
    "minus infinity on purpose": Of(lambda m, x: x.masked_fill(x < 0, float("-inf"))),
    "infinite distance on purpose": Of(lambda m, x: torch.where(x < 0, float("inf"), x)),
    "logarithm of the input itself": OfTheInput(),
    "safe logarithm": Of(lambda m, x: F.softplus(x).log1p()),
}


def warned(model, **how):
    torch.manual_seed(0)
    return [f for f in check(model, (4, 8), repairs=False, sizes=False, **how).findings if f.rule == "not-finite"]


@pytest.mark.parametrize("name", FOUND)
def test_finds(name):
    model, words = FOUND[name]
    (finding,) = warned(model)
    assert words in finding.message


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    assert warned(LEFT_ALONE[name]) == []


def test_half_precision_overflows():
    model = Of(lambda m, x: (x * 3e4).square().sum(1)).half()
    (finding,) = warned(model)
    assert finding.file == __file__


def test_without_the_run_nothing_is_said():
    assert warned(Of(lambda m, x: x.sqrt()), run=False) == []


def test_text(golden):
    (finding,) = warned(Of(lambda m, x: x.sqrt()))
    golden("not-finite.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
