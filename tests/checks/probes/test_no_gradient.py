"""Parameters that change the output and get no gradient; cuts that are meant."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skipstone.checks import check
from skipstone.checks.text import finding_text

SHAPE = (2, 3, 8, 8)


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 1)
        self.reentrant = reentrant

    def forward(self, x):
        return self.head(checkpoint(self.stem, x, use_reentrant=self.reentrant))


def centred(x):
    x = x.detach()
    return x - x.mean()


class Cut(nn.Module):
    """A stem and a head with a function between them."""

    def __init__(self, between):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)
        self.between = between

    def forward(self, x):
        return self.head(self.between(self.stem(x)))


def through_numpy(x):
    return torch.from_numpy(x.detach().numpy() * 2)


class FrozenInForward(Cut):
    def forward(self, x):
        with torch.no_grad():
            x = self.stem(x)
        return self.head(x)


class ProbedInForward(Cut):
    def forward(self, x):
        return self.head(self.stem(x).detach())


class Quantised(nn.Module):
    """A straight-through estimator in a helper."""

    def __init__(self):
        super().__init__()
        self.stem, self.codes, self.head = nn.Linear(3, 4), nn.Parameter(torch.randn(5, 4)), nn.Linear(4, 2)

    def nearest(self, x):
        code = self.codes[torch.cdist(x, self.codes).argmin(1)]
        return x + (code - x).detach()

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.nearest(x))


class SometimesLeftOut(nn.Module):
    """Stochastic depth: in a given pass some blocks are not run."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(12))

    def forward(self, x):
        for block in self.blocks:
            if not self.training or torch.rand(()) < 0.5:
                x = x + block(x)
        return x


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def encode(self, x):
        return self.idle(x)

    def forward(self, x):
        return self.used(x)


class Indices(nn.Module):
    """Nothing that it returns has a gradient."""

    def __init__(self):
        super().__init__()
        self.f = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.f(x).argmax(1)


FOUND = {
    "reentrant checkpoint of the image": (lambda: Checkpointed(True), "stem.0", "2 parameters of stem.0"),
    "detach in a helper": (lambda: Cut(centred), "", "2 parameters of stem in a real backward pass: it ends at detach"),
    "through numpy": (lambda: Cut(through_numpy), "", "it ends at detach"),
}
LEFT_ALONE = {
    "checkpoint that is not reentrant": lambda: Checkpointed(False),
    "gradients throughout": lambda: Cut(lambda x: x - x.mean()),
    "frozen in forward": lambda: FrozenInForward(None),
    "probed in forward": lambda: ProbedInForward(None),
    "stochastic depth": SometimesLeftOut,
    "a module of another method": Idle,
    "indices": Indices,
}


def warned(model, shape=SHAPE, **how):
    torch.manual_seed(0)
    return [f for f in check(model, shape, repairs=False, sizes=False, **how).findings if f.rule == "no-gradient"]


@pytest.mark.parametrize("name", FOUND)
def test_finds(name):
    build, module, words = FOUND[name]
    (finding,) = warned(build())
    assert finding.module == module
    assert words in finding.message
    assert finding.file == __file__


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    assert warned(LEFT_ALONE[name]()) == []


def test_a_straight_through_estimator_is_left_alone():
    assert warned(Quantised(), (6, 3)) == []


def test_frozen_parameters_and_evaluation_are_left_alone():
    model = Cut(centred)
    assert warned(model.eval()) == []
    model.train().stem.requires_grad_(False)
    assert warned(model) == []


def test_a_parameter_that_changes_nothing_is_another_matter():
    """A bias before a norm over the same axis: the output does not depend on it, gradient or not."""

    def normed(x):
        x = x.detach()
        return (x - x.mean()) * 0

    assert warned(Cut(normed)) == []


def test_without_the_run_nothing_is_said():
    assert warned(Checkpointed(True), run=False) == []


def test_text(golden):
    (finding,) = warned(Cut(centred))
    golden("no-gradient.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")


class Stepped(nn.Module):
    """A first layer whose result goes on through a step, a number, or round a step."""

    def __init__(self, step):
        super().__init__()
        self.first, self.last, self.step = nn.Linear(8, 6), nn.Linear(6, 2), step

    def forward(self, x):
        return self.last(self.step(self.first(x)))


def straight_through(h):
    """1308.3432: the step forward, the identity backward."""
    return h + ((h > 0).float() - h).detach()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda h: torch.nn.functional.one_hot(h.argmax(-1), 6).float(), "ends at argmax"),
        (lambda h: (h.sigmoid() > 0.5).float(), "ends at gt"),
        (lambda h: torch.ones_like(h) * h.mean().item(), "a Python number"),
    ],
)
def test_steps_and_numbers_pass_no_gradient(step, words):
    findings = check(Stepped(step), (4, 8), repairs=False, sizes=False).findings
    assert [f.rule for f in findings] == ["no-gradient"]
    assert words in findings[0].message


@pytest.mark.parametrize("step", [straight_through, lambda h: h * (h > 0).float(), lambda h: h * h.detach().mean()])
def test_steps_with_a_way_around_them(step):
    assert check(Stepped(step), (4, 8), repairs=False, sizes=False).findings == ()
