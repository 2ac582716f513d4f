"""No right answer this time, only better ones. The network you get has fourteen layers and learns nothing in sixty steps:
its first layers receive no gradient (gradient-8). Where to put skips, of which kind, with what on them, is yours.

Designs to think of: an addition around every two convolutions, as in the first ResNets; around each; one long skip from
the first layer to the last; concatenations, with narrower layers; a branch that starts at zero, so that the network
begins as a shallow one (ReZero, Fixup, zero-gamma); a normalisation behind each convolution. `skipstone blocks` lists
thirty-five published ones.

A single run tells little: the same network, started from other weights, ends elsewhere. So a design is scored by its
mean over three seeds, and compared with reference designs that were trained in the same way.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from skipstone.learn.asks import Network
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers, Net

TITLE = "open: design a skip under a budget"
BUDGET, LAYERS, BATCH = 10_000, 14, 64
NEAR = 0.05  # an answer passes that comes this near to the reference with skips
NET = Network("Net", (BATCH, 1, 8, 8), training=True)
ASKS = (NET,)
SECONDS = 20

STATEMENT = """
Change Net so that it learns: images (N, 1, 8, 8) of digits to 10 scores. At least 14 convolutions of 3x3 one behind the
other, at least one skip connection, at most 10,000 parameters. It is trained here from fresh weights, 60 steps of SGD on
batches of 64, three times; the score is the mean accuracy on the test images, in training mode. To pass, come within 5
points of the reference with an addition around every two convolutions.
"""

STARTER = '''
"""design-11: make it learn, with skips, at most 10,000 parameters."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(13))
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.fc(self.pool(x).flatten(1))
'''

HINTS = (
    "x = x + F.relu(conv(x)) in the loop is a small change, and a skip around every convolution.",
    "If the sums grow too large for the rate, make the branch small: x + 0.5 * ..., or normalise it.",
)

_PLAIN = "            x = F.relu(conv(x))\n"


def _with(step: str, layers: str = "") -> str:
    made = STARTER.replace(_PLAIN, f"            {step}\n").lstrip("\n")
    return made.replace("        self.pool =", f"{layers}        self.pool =")


SOLUTION = _with("x = x + 0.5 * F.relu(conv(x))")
RIGHT = {
    "around each": _with("x = x + F.relu(conv(x)) * 0.3"),
    "activated before": _with("x = x + 0.5 * conv(F.relu(x))"),
    "rezero": _with(
        "x = x + self.gains[i] * F.relu(conv(x))", "        self.gains = nn.Parameter(torch.full((13,), 0.2))\n"
    ).replace("for conv in self.convs", "for i, conv in enumerate(self.convs)"),
    "in place, averaged": _with("x = torch.add(x, F.relu(conv(x)), alpha=0.4)"),
}
WRONG = {
    "plain": (STARTER, "no skip connection"),
    "too large": (_with("x = x + 0.5 * F.relu(conv(x))").replace("8 * 4 * 4, 10)", "8 * 4 * 4, 10)\n        self.more = nn.Linear(100, 100)"),
                  "the budget is 10,000"),
    "layers left out": (SOLUTION.replace("range(13)", "range(4)"), "5 convolutions"),
    "no gradient back": (_with("x = x + 0.5 * F.relu(conv(x)).detach()"), "no gradient reaches"),
    "no scores": (SOLUTION.replace("8 * 4 * 4, 10)", "8 * 4 * 4, 7)"), "expected (64, 10)"),
    "cannot run": (_with("x = x + F.max_pool2d(conv(x), 2)"), "does not run"),
    "halved away": (_with("x = 0.05 * (x + F.relu(conv(x)))"), "below the"),
}  # fmt: skip


def picture() -> str:
    from torch import Tensor, nn
    from torch.nn import functional as F

    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            y = x
            for conv in self.convs:
                y = y + F.relu(conv(y))
            return x + y

    return drawing(Three(), (2, 8, 8, 8), "three layers, an addition around each and one around all:")


def judge(answers: "Answers") -> Iterator[Point]:
    net = answers.network(NET)
    line = net.line() or answers.line("Net")
    num_convs = sum(net.settings(node)[0] == 3 for node in net.nodes("conv"))
    if net.output != (BATCH, 10):
        yield wrong(f"Net gives {net.output}, expected ({BATCH}, 10) for {BATCH} images", line)
    elif net.num_parameters > BUDGET:
        yield wrong(f"Net has {net.num_parameters:,} parameters, the budget is {BUDGET:,}", answers.line("Net"))
    elif num_convs < LAYERS:
        yield wrong(f"Net runs {num_convs} convolutions of 3x3, expected at least {LAYERS}", line)
    elif not net.skips:
        yield wrong("there is no skip connection in Net", line)
    elif silent := [name for name, norm in net.gradients(answers.seed).items() if norm == 0]:
        yield wrong(f"no gradient reaches {', '.join(sorted(silent)[:4])}", line)
    else:
        yield right(f"{num_convs} convolutions, {len(net.skips)} skips, {net.num_parameters:,} parameters")
        yield _scored(net, line)


def _scored(net: "Net", line: int | None) -> Point:
    from skipstone.learn.contest import SEEDS, reference, score

    reached = score(net)
    with_skips, plain = (reference(LAYERS, BATCH, skips=skips) for skips in (True, False))
    said = (
        f"{100 * reached:.1f} % over {len(SEEDS)} seeds; the reference with skips {100 * with_skips:.1f} %, "
        f"the plain network {100 * plain:.1f} %"
    )
    if not reached >= with_skips - NEAR:
        return replace(wrong(f"{said}: below the {100 * (with_skips - NEAR):.1f} % asked for", line), score=reached)
    return replace(right(said), score=reached)
