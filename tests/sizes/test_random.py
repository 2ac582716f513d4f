"""Random two-branch networks: legal sizes equal real runs."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import skipstone

CONV = st.builds(
    lambda k, s, p, d: nn.Conv2d(2, 2, k, s, p, d),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 2),
)
POOL = st.builds(lambda k, s, c: nn.MaxPool2d(k, s, ceil_mode=c), st.integers(1, 3), st.integers(1, 3), st.booleans())
UP = st.builds(lambda k, s, o: nn.ConvTranspose2d(2, 2, k, s, 1, o), st.integers(2, 4), st.just(2), st.integers(0, 1))
SCALE = st.sampled_from([1.5, 2, 0.5]).map(lambda f: nn.Upsample(scale_factor=f))
BRANCH = st.lists(st.one_of(CONV, POOL, UP, SCALE), min_size=0, max_size=4).map(lambda parts: nn.Sequential(*parts))


class Branches(nn.Module):
    def __init__(self, a, b, add):
        super().__init__()
        self.a, self.b, self.add = a, b, add
        self.apart = False

    def forward(self, x):
        a, b = self.a(F.pad(x, (1, 1, 1, 1))), self.b(x)
        self.apart = a.shape != b.shape
        return a + b if self.add else torch.cat([a, b], 1)


def real(model, sizes):
    legal, broadcast = set(), set()
    with torch.no_grad():
        for h in sizes:
            try:
                model(torch.randn(1, 2, h, h))
            except (RuntimeError, ValueError):
                continue
            (broadcast if model.apart and model.add else legal).add(h)
    return legal, broadcast


SIZES = range(1, 25)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(BRANCH, BRANCH, st.booleans())
def test_random_branches(a, b, add):
    model = Branches(a, b, add).eval()
    report = skipstone.legal_sizes(model, (1, 2, "h", "h"), h=SIZES)
    assert (report.legal, report.broadcast) == real(model, SIZES)
