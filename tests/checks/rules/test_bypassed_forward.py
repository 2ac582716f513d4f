"""What bypassed-forward must find, and what it must leave alone."""

import pytest
from torch import nn

MAP = (2, 8, 8, 8)


def conv(cin, cout, kernel=3, stride=1):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2)


class Children(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(8, 8)
            self.r = nn.ReLU()
            self.b = conv(8, 8)

        def forward(self, x):
            return x + self.b(self.r(self.a(x)))

    def __init__(self):
        super().__init__()
        self.block = self.B()
        self.f = nn.Sequential(*self.block.children())

    def forward(self, x):
        return self.f(x)


FOUND = [
    (Children, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"bypassed-forward"}


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("bypassed-forward.txt", text(found(kind, shape)[0]))
