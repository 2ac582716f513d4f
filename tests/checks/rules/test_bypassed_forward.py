"""What bypassed-forward must find, and what it must leave alone."""

import pytest
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


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


class Loop(nn.Module):
    """The same without a container: a loop over the children."""

    def __init__(self):
        super().__init__()
        self.stem, self.block = conv(8, 8), Children.B()

    def forward(self, x):
        x = self.stem(x)
        for child in self.block.children():
            x = child(x)
        return x


class Used(Loop):
    """Children called by the network's own forward, which adds the skip itself."""

    def forward(self, x):
        x = self.stem(x)
        return x + self.block.b(self.block.r(self.block.a(x)))


FOUND = [
    (Children, MAP),
    (Loop, MAP),
]


def test_leaves_alone_who_adds_the_skip_itself(found):
    assert found(Used, MAP) == ()


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"bypassed-forward"}


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("bypassed-forward.txt", text(found(kind, shape)[0]))
