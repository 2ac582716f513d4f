"""No right answer this time, only better ones. The network you get has fourteen layers and learns nothing in sixty steps:
its first layers receive no gradient (gradient-8). Where to put skips, of which kind, with what on them, is yours.

Designs to think of: an addition around every two convolutions, as in the first ResNets; around each; one long skip from
the first layer to the last; concatenations, with narrower layers; a branch that starts at zero, so that the network
begins as a shallow one (ReZero, Fixup, zero-gamma); a normalisation behind each convolution. `skipstone blocks` lists
thirty-five published ones.

A single run tells little: the same network, started from other weights, ends elsewhere. So a design is scored by its
mean over three seeds, and compared with reference designs that were trained in the same way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.learn.answers import Answers, Net
from skipstone.learn.asks import Network
from skipstone.learn.pictures import drawing
from skipstone.learn.replay import replay
from skipstone.learn.verdict import Point, right, wrong
from skipstone.tracing import trace

TITLE = "open: design a skip under a budget"
BUDGET, LAYERS, STEPS, BATCH, SEEDS = 10_000, 14, 60, 64, (0, 1, 2)
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
        self.fc = nn.Linear(8 * 8 * 8, 10, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.fc(self.pool(x).flatten(1))
'''.replace("        self.fc = nn.Linear(8 * 8 * 8, 10, bias=False)\n", "")

HINTS = (
    "x = x + F.relu(conv(x)) in the loop is one character more, and a skip around every convolution.",
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


class _Reference(nn.Module):
    """The starter's network, or with an addition around every two convolutions behind the first two."""

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.convs = nn.ModuleList(nn.Conv2d(8 if i else 1, 8, 3, padding=1) for i in range(LAYERS))
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.convs[1](F.relu(self.convs[0](x))))
        for i in range(2, LAYERS, 2):
            y = self.convs[i + 1](F.relu(self.convs[i](x)))
            x = F.relu(x + y) if self.skips else F.relu(y)
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 4).flatten(1))
        return logits


@cache
def reference(skips: bool) -> float:
    """The score of a reference design, trained as an answer is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NET.seed)  # its biases; the weights are drawn anew
        model = _Reference(skips).train()
    return score(Net(trace(model, NET.example), dict(model.named_parameters()), []))


def score(net: Net) -> float:
    """The mean test accuracy over the seeds."""
    return sum(_accuracy(net, seed) for seed in SEEDS) / len(SEEDS)


def _accuracy(net: Net, seed: int) -> float:
    from skipstone.data.digits import load_digits

    train, test = load_digits()
    draw = torch.Generator().manual_seed(seed)
    trained = {p.name for p in net.graph.parameters if p.requires_grad}
    weights = {n: _fresh(w, draw) if n in trained else w.clone() for n, w in net.weights.items()}
    leaves = [weights[name].requires_grad_(True) for name in sorted(trained)]
    optimizer = torch.optim.SGD(leaves, lr=0.05, momentum=0.9)
    with torch.enable_grad():
        for _ in range(STEPS):
            chosen = torch.randint(len(train), (BATCH,), generator=draw)
            loss = F.cross_entropy(_run(net, weights, train.pixels[chosen]), train.labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(leaves, 1.0)
            optimizer.step()
    with torch.no_grad():
        batches = [slice(i, i + BATCH) for i in range(0, len(test) - BATCH + 1, BATCH)]
        hits = [(_run(net, weights, test.pixels[b]).argmax(1) == test.labels[b]).float().mean() for b in batches]
    return float(torch.stack(hits).mean())


def _run(net: Net, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    return replay(net.graph, weights, pixels.float() / 8 - 1)[0]


def _fresh(weight: Tensor, draw: torch.Generator) -> Tensor:
    """Drawn anew as PyTorch draws it, so that no answer brings trained weights along; what is constant stays."""
    weight = weight.detach().clone()
    if weight.ndim < 2 or bool((weight == weight.flatten()[0]).all()):
        return weight
    bound = 1 / sqrt(weight[0].numel())
    return torch.empty_like(weight).uniform_(-bound, bound, generator=draw)


def judge(answers: Answers) -> Iterator[Point]:
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


def _scored(net: Net, line: int | None) -> Point:
    reached, with_skips, plain = score(net), reference(True), reference(False)
    said = (
        f"{100 * reached:.1f} % over {len(SEEDS)} seeds; the reference with skips {100 * with_skips:.1f} %, "
        f"the plain network {100 * plain:.1f} %"
    )
    if not reached >= with_skips - NEAR:
        return replace(wrong(f"{said}: below the {100 * (with_skips - NEAR):.1f} % asked for", line), score=reached)
    return replace(right(said), score=reached)
