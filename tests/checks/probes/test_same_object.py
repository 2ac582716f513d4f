"""One module under several names of a container, and modules that are shared on purpose."""

import pytest
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text

SHAPE = (2, 8, 6, 6)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


class Looped(nn.Module):
    """A list in a loop: the same block each time."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        block = Block()
        self.blocks = nn.ModuleDict({"a": block, "b": block})

    def forward(self, x):
        return self.blocks["b"](self.blocks["a"](x))


class TiedLoop(nn.Module):
    """One name, called in a loop: sharing is written down."""

    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        for _ in range(3):
            x = self.block(x)
        return x


class HeadOfLevels(nn.Module):
    """One head for several levels, side by side."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(Block() for _ in range(3))
        self.heads = nn.ModuleList([nn.Conv2d(8, 2, 1)] * 3)

    def forward(self, x):
        out = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            out.append(head(x))
        return out


FOUND = {
    "multiplied list": (lambda: nn.Sequential(nn.ReLU(), nn.Sequential(*(3 * [Block()]))), "1", "0, 1, 2 of 1 are"),
    "in a loop": (lambda: Looped([Block()] * 4), "blocks", "0, 1, 2, 3 of blocks are one Block"),
    "by name": (Named, "blocks", "a, b of blocks are one Block"),
    "norm": (lambda: nn.Sequential(*[nn.BatchNorm2d(8)] * 2), "", "0, 1 of the network are one BatchNorm2d"),
}  # fmt: skip
LEFT_ALONE = {
    "blocks of their own": lambda: Looped([Block() for _ in range(4)]),
    "activation": lambda: nn.Sequential(Block(), *[nn.ReLU(), nn.Identity()] * 3),
    "loop over one": TiedLoop,
    "one head, several levels": HeadOfLevels,
}


def warned(model, **how):
    return [f for f in check(model, SHAPE, repairs=False, sizes=False, **how).findings if f.rule == "same-object"]


@pytest.mark.parametrize("run", ["auto", False])
@pytest.mark.parametrize("name", FOUND)
def test_finds_with_and_without_a_run(name, run):
    build, module, words = FOUND[name]
    (finding,) = warned(build(), run=run)
    assert finding.module == module
    assert words in finding.message


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    assert warned(LEFT_ALONE[name]()) == []


def test_text(golden):
    (finding,) = warned(Looped([Block()] * 4))
    golden("same-object.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
