"""A block that widens, from 64 to 128 channels, can't add its input to its output: 64 channels do not fit 128. The
blocks of a ResNet widen a few times on their way, so every one of them meets this.

Three ways are in use. A 1x1 convolution on the shortcut makes 128 channels of 64 at each place (option B of the first
ResNet paper; most code calls it `downsample`). Zero channels fill up what is missing (option A): no weights at all. Or
the block is widened outside, by a layer before it, and adds equal channels inside.

What should not happen is that the shortcut is left out where it does not fit: the network runs, and has fewer skips
than its name says. And where input and output have equal channels already, x itself is the best shortcut: no weights,
and its gradient passes unchanged.
"""

from collections.abc import Iterator
from functools import cache, partial
from typing import TYPE_CHECKING

from skipstone.learn.asks import Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers

TITLE = "64 channels and 128: predict the error, then mend the block"
FAILS_AT, MEET = Value("fails_at"), Value("channels_that_meet")
WIDER = Network("ResNetBlock", (2, 64, 8, 8), (64, 128))
EQUAL = Network("ResNetBlock", (2, 64, 8, 8), (64, 64))
ASKS = (FAILS_AT, MEET, WIDER, EQUAL)

STATEMENT = """
Before you run anything: where does ResNetBlock(64, 128) below fail on an input of shape (2, 64, 8, 8)? Write "conv1",
"conv2" or "addition". And which two numbers of channels meet there?

Then mend the block, so that ResNetBlock(64, 128) gives (2, 128, 8, 8) with a skip connection in it, and
ResNetBlock(64, 64) still works.
"""

STARTER = '''
"""channels-4: predict where ResNetBlock(64, 128) fails, then mend it."""

from torch import nn
from torch.nn import functional as F

fails_at = None  # "conv1", "conv2" or "addition"
channels_that_meet = None  # two numbers, such as (3, 6)


class ResNetBlock(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x):
        y = F.relu(self.conv1(x))
        y = self.conv2(y)
        return F.relu(x + y)
'''

HINTS = (
    "conv1 takes 64 channels and is given 64. conv2 takes 128 and is given 128. What is left?",
    "Make a layer in __init__: nn.Conv2d(in_channels, out_channels, 1). It changes the channels and not the size.",
    "Use it in forward on x, not on y: F.relu(self.fit(x) + y).",
    "For equal channels nn.Identity() does: self.fit = nn.Identity() if in_channels == out_channels else nn.Conv2d(...).",
)

_ANSWERED = (
    STARTER.replace("fails_at = None", 'fails_at = "addition"')
    .replace("that_meet = None", "that_meet = (64, 128)")
    .lstrip("\n")
)


def _with(layer: str, shortcut: str) -> str:
    second = "        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)\n"
    return _ANSWERED.replace(second, f"{second}{layer}").replace("F.relu(x + y)", shortcut)


_CHOSEN = (
    "        same = in_channels == out_channels\n"
    "        self.fit = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)\n"
)
_ALWAYS = "        self.fit = nn.Conv2d(in_channels, out_channels, 1)\n"
SOLUTION = _with(_CHOSEN, "F.relu(self.fit(x) + y)")
RIGHT = {
    "a projection always": _with(_ALWAYS, "F.relu(y + self.fit(x))"),
    "zero channels": _with("", "F.relu(y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))"),
    "with batch norm": _with(
        "        self.fit = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), "
        "nn.BatchNorm2d(out_channels))\n",
        "F.relu(self.fit(x) + y)",
    ),
    "in place": _ANSWERED.replace(
        "        return F.relu(x + y)", "        y += self.fit(x)\n        return y.relu()"
    ).replace("    def forward", f"{_ALWAYS}\n    def forward"),
    "widened before": _with(_CHOSEN, "F.relu(y)")
    .replace(
        "        y = F.relu(self.conv1(x))\n        y = self.conv2(y)\n        return F.relu(y)",
        "        x = self.fit(x)\n        return F.relu(x + self.conv2(F.relu(self.conv1(x))))",
    )
    .replace(
        "nn.Conv2d(in_channels, out_channels, 3, padding=1)", "nn.Conv2d(out_channels, out_channels, 3, padding=1)"
    ),
    "a 3x3 shortcut": _with(
        "        self.fit = nn.Conv2d(in_channels, out_channels, 3, padding=1)\n", "F.relu(self.fit(x) + y)"
    ),
}
WRONG = {
    "not mended": (_ANSWERED, "cannot add 64 channels to 128 channels"),
    "left out where it does not fit": (
        _with("", "F.relu(x + y if x.shape == y.shape else y)"), "no skip connection in ResNetBlock(64, 128)"
    ),
    "made and not used": (_with(_ALWAYS, "F.relu(self.fit(x) * 0 + x[:, :1] + y)"), "no gradient reaches fit"),
    "64 and 128 for ever": (_with("        self.fit = nn.Conv2d(64, 128, 1)\n", "F.relu(self.fit(x) + y)"), "(64, 64)"),
    "with a stride": (
        _with("        self.fit = nn.Conv2d(in_channels, out_channels, 1, stride=2)\n", "F.relu(self.fit(x) + y)"),
        "cannot add 4x4 to 8x8",
    ),
    "the block narrowed": (
        _ANSWERED.replace("nn.Conv2d(out_channels, out_channels", "nn.Conv2d(out_channels, in_channels"),
        "expected (2, 128, 8, 8)",
    ),
    "fails at conv1": (SOLUTION.replace('"addition"', '"conv1"'), "conv1 takes 64 channels"),
    "fails at conv2": (SOLUTION.replace('"addition"', '"conv2"'), "conv2 takes what conv1 made"),
    "other channels": (SOLUTION.replace("meet = (64, 128)", "meet = (128, 128)"), "x has 64"),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.resnet_block import ResNetBlock

    return drawing(ResNetBlock(64, 128), (2, 64, 8, 8), "the block as recorded, with what torch says to it:")


@cache
def truth() -> tuple[str, frozenset[int]]:
    """(what fails, the channels that meet), from a check of the tutorial's block."""
    from skipstone.checks import check
    from skipstone.models.tutorials.resnet_block import ResNetBlock

    found = check(ResNetBlock(64, 128), (2, 64, 8, 8), repairs=False, sizes=False, run=False).errors[0]
    return ("addition" if found.code == "SK101" else found.module), frozenset(shape[1] for shape in found.operands)


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _prediction, partial(_block, ask=WIDER), partial(_block, ask=EQUAL))


def _prediction(answers: "Answers") -> Iterator[Point]:
    fails_at, meet = truth()
    given = answers.value(FAILS_AT)
    line = answers.line(FAILS_AT.name)
    if given is None:
        yield wrong("fails_at is not filled in yet", line)
    elif isinstance(given, str) and given.strip().lower() in (fails_at, "add", "+"):
        yield right("it fails at the addition; both convolutions are given what they take")
    else:
        why = {"conv1": "conv1 takes 64 channels and is given 64", "conv2": "conv2 takes what conv1 made, 128 channels"}
        yield wrong(f"fails_at is not {given!r}: {why.get(str(given), 'choose conv1, conv2 or addition')}", line)
    given, line = answers.value(MEET), answers.line(MEET.name)
    if given is None:
        yield wrong("channels_that_meet is not filled in yet", line)
    elif isinstance(given, tuple) and set(given) == meet:
        yield right(f"there {' and '.join(map(str, sorted(meet)))} channels meet")
    else:
        yield wrong(f"channels_that_meet is not {given!r}: x has 64, and what conv2 makes has 128", line)


def _block(answers: "Answers", ask: Network) -> Iterator[Point]:
    net = answers.network(ask)
    made = f"ResNetBlock{ask.arguments}"
    expected = (2, ask.arguments[1], 8, 8)
    added = [skip for skip in net.joins if skip.merge == "add" and skip.span >= 2]
    if net.output != expected:
        yield wrong(f"{made} gives {net.output}, expected {expected}", net.line())
    elif not added:
        yield wrong(f"there is no skip connection in {made} that adds what came in over both convolutions", net.line())
    else:
        silent = [name for name, norm in net.gradients(answers.seed).items() if norm == 0]
        if silent:
            yield wrong(f"in {made} no gradient reaches {', '.join(sorted(silent))}", net.line_of(added[-1].merge_node))
        else:
            yield right(
                f"{made} gives {expected}, with a skip of kind {added[-1].kind}; {net.num_parameters:,} parameters"
            )
