"""Randomness that evaluation should not have, and randomness that is meant."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text


class Of(nn.Module):
    """A network given by a function of itself and the features behind a linear layer."""

    def __init__(self, function, **modules):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, self.first(x))


def drop(m, x):
    return F.dropout(x, 0.5)


def drop_path(m, x):
    keep = (torch.rand(x.shape[0], 1) < 0.5).float()
    return x + m.f(x) * keep / 0.5


class StaysInTraining(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


def attend(x, p):
    x = x.view(-1, 1, 1, 8)
    return F.scaled_dot_product_attention(x, x, x, dropout_p=p).view(-1, 8)


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.sigma, self.always = 0.1, True
        self.first, self.last, self.size = nn.Linear(8, 8), nn.Linear(8, 8), nn.Parameter(torch.ones(1))
        self.register_buffer("zero", torch.zeros(()))


class Noise(Features):
    """Adds a little of it."""

    def forward(self, x):
        x = self.first(x)
        return self.last(x + torch.randn_like(x) * self.sigma)


class InPlace(Features):
    def forward(self, x):
        x = self.first(x)
        x += torch.randn(x.shape, device=x.device).mul(0.1)
        return self.last(x)


class Relative(Features):
    def forward(self, x):
        x = self.first(x)
        return self.last(x + self.zero.expand_as(x).clone().normal_() * (self.sigma * x.detach()))


class Distribution(Features):
    def forward(self, x):
        x = self.first(x)
        return self.last(x + torch.distributions.Normal(0.0, 0.1).sample(x.shape))


class Learned(Features):
    def forward(self, x):
        x = self.first(x)
        return self.last(x + self.size * torch.randn_like(x))


class Computed(Features):
    def forward(self, x):
        x = self.first(x)
        return x + torch.randn_like(x) * (0.5 * self.last(x)).exp()


class Returned(Features):
    def forward(self, x):
        noise = torch.randn_like(x)
        return self.last(self.first(x) + 0.1 * noise), noise


class Looped(Features):
    def forward(self, x):
        for _ in range(3):
            x = self.first(x) + 0.1 * torch.randn_like(x)
        return x


class Switched(Features):
    def forward(self, x):
        x = self.first(x)
        if self.always:
            x = x + 0.1 * torch.randn_like(x)
        return self.last(x)


class InTraining(Features):
    def forward(self, x):
        x = self.first(x)
        return self.last(x + 0.1 * torch.randn_like(x)) if self.training else self.last(x)


class DenoisingNet(Noise):
    pass


class Corrupted(Noise):
    """Learns to undo what a diffusion has done."""


FOUND = {
    "functional dropout": (Of(drop), "training=self.training"),
    "dropout made in forward": (Of(lambda m, x: nn.Dropout(0.5)(x)), "training=self.training"),
    "two-dimensional dropout": (Of(lambda m, x: F.dropout1d(x[:, None], p=0.5)), "training=self.training"),
    "attention's dropout": (Of(lambda m, x: attend(x, 0.5)), "if self.training else 0.0"),
    "a mask of bernoulli": (Of(lambda m, x: x * torch.bernoulli(torch.full_like(x, 0.5))), "a mask drawn by bernoulli"),
    "noise": (Noise(), "noise drawn by randn_like is added"),
    "noise in place": (InPlace(), "add it only if self.training"),
    "noise, relative": (Relative(), "noise drawn by normal is added"),
    "noise of a distribution": (Distribution(), "noise drawn by normal is added"),
    "noise of a layer": (nn.Sequential(nn.Linear(8, 8), Noise()), "noise drawn by randn_like"),
    "stochastic depth": (Of(drop_path, f=nn.Linear(8, 8)), "a mask drawn by rand"),
}
LEFT_ALONE = {
    "told whether it trains": Of(lambda m, x: F.dropout(x, 0.5, m.training)),
    "told by name": Of(lambda m, x: F.dropout(x, p=0.5, training=m.training)),
    "Monte Carlo dropout, spelled out": Of(lambda m, x: F.dropout(x, 0.5, training=True)),
    "Monte Carlo dropout, by its mode": Of(lambda m, x: m.drop(x), drop=StaysInTraining(0.5)),
    "a module": Of(lambda m, x: m.drop(x), drop=nn.Dropout(0.5)),
    "a sample of a variational autoencoder": Of(lambda m, x: x + torch.randn_like(x) * (0.5 * x).exp()),
    "masking at random": Of(lambda m, x: x.gather(1, torch.rand(x.shape).argsort(1))[:, :4]),
    "attention without": Of(lambda m, x: attend(x, 0.5 if m.training else 0.0)),
    "stochastic depth in training alone": Of(lambda m, x: drop_path(m, x) if m.training else x, f=nn.Linear(8, 8)),
    "noise of a learned size": Learned(),
    "noise of a computed size": Computed(),
    "noise that is returned too": Returned(),
    "noise at every step": Looped(),
    "noise under a switch": Switched(),
    "noise in training": InTraining(),
    "noise, by name": DenoisingNet(),
    "noise, by docstring": Corrupted(),
    "nothing random": Of(lambda m, x: x),
}


def warned(model, **how):
    return [
        f for f in check(model, (6, 8), repairs=False, sizes=False, **how).findings if f.rule == "random-in-evaluation"
    ]


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", FOUND)
def test_finds(name, mode):
    model, words = FOUND[name]
    (finding,) = warned(model.train(mode))
    assert words in finding.message
    assert finding.file == __file__
    assert model.training is mode


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    assert warned(LEFT_ALONE[name]) == []


def test_a_path_that_is_seldom_dropped_is_seen_too():
    def rarely(m, x):
        keep = torch.floor(0.8 + torch.rand(x.shape[0], 1))
        return x + m.f(x) * keep / 0.8

    model = Of(rarely, f=nn.Linear(8, 8))
    (finding,) = [f for f in check(model, (2, 8), repairs=False, sizes=False).findings if f.code == "SK403"]
    assert "a mask drawn by rand" in finding.message


def test_a_state_of_the_networks_own_is_no_chance():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.first(x) * self.calls

    assert warned(Counts()) == []


def test_a_path_taken_by_pythons_own_chance_is_not_told_as_dropout():
    model = Of(lambda m, x: m.f(x) if random.random() < 0.5 else x, f=nn.Linear(8, 8))
    assert warned(model) == []


def test_without_the_run_nothing_is_said():
    assert warned(Of(drop), run=False) == []


def test_text(golden):
    (finding,) = warned(Of(drop))
    golden("random-in-evaluation.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
