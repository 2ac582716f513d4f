"""A residual block returns x + f(x): what it was given, and what its layers make of it. The layers learn a correction
of x alone; the addition itself costs nothing and has no weights.

The addition asks for one thing: f(x) must have the shape of x. Two tutorials print this block and claim that it takes
(1, 3, 32, 32) to (1, 3, 32, 32):

    conv1 = Conv2d(3, 6, kernel_size=2, stride=2, padding=2)
    conv2 = Conv2d(6, 3, kernel_size=2, stride=2, padding=2)
    y = x + relu(conv2(relu(conv1(x))))

Put in the formula: each convolution makes floor((h + 4 - 2) / 2) + 1 of h. The block can only be added where two steps
of that lead back to h. What keeps every size: stride 1 and, for kernel k, padding (k - 1) / 2 with k odd.

PyTorch adds tensors of unequal shapes without a word where one has size 1: it repeats it. That is called broadcasting,
and a sum made by it is no residual.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from skipstone.learn.asks import Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers, Net

TITLE = "x + conv(conv(x)): write it, find where it runs, repair it"
BLOCK = Network("Block", (2, 3, 4, 4))
SIZES, AT_32 = Value("legal_sizes"), Value("size_behind_the_convolutions")
REPAIRED = tuple(Network("Repaired", (2, 3, h, w)) for h, w in ((32, 32), (7, 9), (1, 2)))
ASKS = (BLOCK, AT_32, SIZES, *REPAIRED)
LARGEST = 64

STATEMENT = """
1. Write Block.forward: it returns x + relu(conv2(relu(conv1(x)))).
2. What size do the two convolutions make of a 32x32 image? Write the one number.
3. At which square sizes h, from 1 to 64, does the block run and add tensors of equal shapes? Write a list.
4. In Repaired, change the two convolutions so that every size runs and comes out as it went in. Keep the skip.
"""

STARTER = '''
"""forward-3: write the forward of a residual block, find out where it can run, and repair it."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=2)
        self.conv2 = nn.Conv2d(6, 3, kernel_size=2, stride=2, padding=2)

    def forward(self, x):
        return x  # 1. to be written


size_behind_the_convolutions = None  # 2. of a 32x32 image, one number
legal_sizes = []  # 3. all h from 1 to 64 at which Block adds equal shapes


class Repaired(nn.Module):  # 4. to be repaired
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=2)
        self.conv2 = nn.Conv2d(6, 3, kernel_size=2, stride=2, padding=2)

    def forward(self, x):
        return x + F.relu(self.conv2(F.relu(self.conv1(x))))
'''

HINTS = (
    "One line is enough: return x + F.relu(self.conv2(F.relu(self.conv1(x)))).",
    "floor((32 + 4 - 2) / 2) + 1 = 18. Do the same with 18.",
    "A convolution makes floor(h / 2) + 2 of h. For which h does doing that twice give h again? Try 1, 2, 3, 4, 5 ...",
    "kernel_size=3, stride=1, padding=1 keeps every size.",
)

_FORWARD = "return x + F.relu(self.conv2(F.relu(self.conv1(x))))"
_ANSWERED = (
    STARTER.replace("return x  # 1. to be written", _FORWARD)
    .replace("convolutions = None", "convolutions = 11")
    .replace("legal_sizes = []", "legal_sizes = [3, 4]")
    .lstrip("\n")
)


def _repaired(settings: str, block: str = _ANSWERED) -> str:
    head, mark, tail = block.partition("class Repaired")
    return head + mark + tail.replace("kernel_size=2, stride=2, padding=2", settings)


SOLUTION = _repaired("kernel_size=3, stride=1, padding=1")
_BY_RUNNING = """
def runs(h):
    try:
        return Block()(torch.zeros(1, 3, h, h)).shape[-1] == h
    except RuntimeError:
        return False


legal_sizes = {h for h in range(1, 65) if runs(h)}
"""
RIGHT = {
    "same": _repaired("kernel_size=3, padding='same'"),
    "kernel 5": _repaired("kernel_size=5, padding=2"),
    "1x1": _repaired("kernel_size=1"),
    "dilated": _repaired("kernel_size=3, padding=2, dilation=2"),
    "steps and +=": SOLUTION.replace(
        _FORWARD, "y = F.relu(self.conv1(x))\n        y = F.relu(self.conv2(y))\n        y += x\n        return y", 1
    ),
    "sizes by running": SOLUTION.replace("legal_sizes = [3, 4]", _BY_RUNNING),
    "torch.add": SOLUTION.replace(_FORWARD, "return torch.add(self.conv2(self.conv1(x).relu()).relu(), x)", 1),
}
WRONG = {
    "the branch alone": (SOLUTION.replace(_FORWARD, _FORWARD.replace("x + ", ""), 1), "x itself is not added"),
    "one convolution": (
        SOLUTION.replace(_FORWARD, "return x + F.interpolate(F.relu(self.conv1(x))[:, :3], 4)", 1), "1 convolution"
    ),
    "no ReLU": (SOLUTION.replace(_FORWARD, "return x + self.conv2(self.conv1(x))", 1), "other numbers"),
    "multiplied": (SOLUTION.replace(_FORWARD, _FORWARD.replace("x + ", "x * "), 1), "x itself is not added"),
    "first size": (SOLUTION.replace("convolutions = 11", "convolutions = 18"), "18 is what the first"),
    "sizes by broadcasting": (SOLUTION.replace("[3, 4]", "[1, 3, 4]"), "1 runs only because"),
    "the tutorials' claim": (SOLUTION.replace("[3, 4]", "[32]"), "at 32 the branch has"),
    "one missing": (SOLUTION.replace("[3, 4]", "[4]"), "3 is missing"),
    "not repaired": (_ANSWERED, "cannot add 32x32 to 11x11"),
    "padding forgotten": (_repaired("kernel_size=3, stride=1"), "cannot add 32x32 to 28x28"),
    "one of them": (
        SOLUTION.replace("nn.Conv2d(6, 3, kernel_size=3, stride=1, padding=1)", "nn.Conv2d(6, 3, 3, 2, 1)"),
        "cannot add 32x32 to 16x16",
    ),
    "skip dropped": (
        SOLUTION[: SOLUTION.rindex("return x +")] + "return F.relu(self.conv2(F.relu(self.conv1(x))))\n", "no skip"
    ),
    "resized to fit": (
        _ANSWERED[: _ANSWERED.rindex("return x +")]
        + "y = F.relu(self.conv2(F.relu(self.conv1(x))))\n        return x + F.interpolate(y, x.shape[2:])\n",
        "change the convolutions themselves",
    ),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.two_conv_residual import TwoConvResidual

    return drawing(TwoConvResidual(), (2, 3, 32, 32), "what the recorder sees at 32x32:")


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _forward, _size_at_32, _sizes, _repairs)


def _size_at_32(answers: "Answers") -> Point:
    given, expected = answers.value(AT_32), 11
    if given == expected:
        return right("32 becomes 18 and then 11, which can't be added to 32")
    why = "18 is what the first convolution makes; go on" if given == 18 else "32 becomes floor(34 / 2) + 1, ..."
    said = f"is not {given!r}: {why}" if given is not None else "is not filled in yet"
    return wrong(f"{AT_32.name} {said}", answers.line(AT_32.name))


def _repairs(answers: "Answers") -> Iterator[Point]:
    for ask in REPAIRED:
        yield _repair(answers.network(ask), ask)


def _forward(answers: "Answers") -> Point:
    """By numbers: what the student's record gives, against the formula with the student's own weights."""
    import torch
    from torch.nn import functional as F

    net = answers.network(BLOCK)
    line = net.line() or answers.line("Block")
    convs = net.nodes("conv")
    if len(convs) != 2:
        return wrong(f"Block runs {len(convs)} convolution{'s' * (len(convs) != 1)} on its way, expected 2", line)
    w1, b1, w2, b2 = (net.weights[net.graph[i].name] for conv in convs for i in conv.inputs[1:3])
    x = torch.randn(2, 3, 4, 4)
    branch = F.relu(F.conv2d(F.relu(F.conv2d(x, w1, b1, 2, 2)), w2, b2, 2, 2))
    result = net.run(x)
    if result.shape == x.shape and torch.allclose(result, x + branch, atol=1e-5):
        return right("Block returns x + relu(conv2(relu(conv1(x))))")
    if not any(skip.merge == "add" for skip in net.skips):
        return wrong("in Block x itself is not added: no skip connection arrives at an addition", line)
    return wrong("Block gives other numbers than x + relu(conv2(relu(conv1(x)))): look for a ReLU too few", line)


@cache
def truth() -> tuple[frozenset[int], frozenset[int]]:
    """(legal, by broadcasting alone), from `skipstone.legal_sizes`."""
    from skipstone.models.tutorials.two_conv_residual import TwoConvResidual
    from skipstone.sizes import legal_sizes

    found = legal_sizes(TwoConvResidual(), (2, 3, "h", "h"), run=False, h=range(1, LARGEST + 1))
    return found.legal, found.broadcast


def _sizes(answers: "Answers") -> Iterator[Point]:
    given, line = answers.value(SIZES), answers.line(SIZES.name)
    if not isinstance(given, tuple) or not all(isinstance(h, int) for h in given):
        yield wrong(f"legal_sizes is {given!r}, expected a list of whole numbers", line)
        return
    legal, broadcast = truth()
    if not given:
        yield wrong("legal_sizes is empty: at some sizes it does run", line)
        return
    for size in sorted(set(given) - legal):
        if size in broadcast:
            yield wrong(f"legal_sizes: {size} runs only because a {size}x{size} image is repeated to fit", line)
        else:
            behind = (size // 2 + 2) // 2 + 2
            yield wrong(f"legal_sizes: at {size} the branch has {behind}x{behind}, which can't be added", line)
    missing = sorted(legal - set(given))
    if missing:
        yield wrong(f"legal_sizes: {', '.join(map(str, missing))} {'is' if len(missing) == 1 else 'are'} missing", line)
    if set(given) == legal:
        yield right(f"Block adds equal shapes at {', '.join(map(str, sorted(legal)))} and nowhere else")


def _repair(net: "Net", ask: Network) -> Point:
    size = "x".join(map(str, ask.example[2:]))
    if net.output != ask.example:
        return wrong(f"Repaired makes {net.output} of {ask.example}", net.line())
    added = [skip for skip in net.skips if skip.merge == "add" and skip.kind == "identity"]
    if not added:
        return wrong("Repaired has no skip connection that adds x as it is", net.line())
    if net.nodes("resample") or len(net.nodes("conv")) != 2:
        return wrong("in Repaired, change the convolutions themselves: two, and nothing that resizes", net.line())
    return right(f"Repaired keeps {size}, with x added as it is")
