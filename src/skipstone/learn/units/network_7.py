"""Three layers that a finished network has and a block does not. Batch normalisation, behind each convolution, brings
every channel to mean 0 and variance 1 over the batch; it keeps signals from growing from block to block. Dropout sets
a share of the numbers to zero while the network trains, and does nothing afterwards: a network must be told by
model.train() and model.eval(). And a linear layer at the end, which must know how many numbers it is given.

A tutorial's network has one 2x2 pooling and Linear(32 * 8 * 8, 10): on 32x32 images that is a mistake, because 32 is
halved once and not twice. Either the numbers are counted right, or a mean over all places (global average pooling)
makes one number a channel of any size.

F.dropout(x, 0.3) is a trap: as a function it does not know in which mode the network is, and drops in evaluation too.
nn.Dropout knows. What comes out are scores ("logits"); cross-entropy takes them as they are, without a softmax.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skipstone.learn.asks import Network, Value
from skipstone.learn.pictures import shape_ledger
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers, Net

TITLE = "the finished CIFAR network: batch norm, dropout, and the last layer"
FEATURES = Value("features_behind_one_pooling")
EVAL = Network("Net", (2, 3, 32, 32))
TRAIN = Network("Net", (4, 3, 32, 32), training=True)
ASKS = (FEATURES, EVAL, TRAIN)
_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout")

STATEMENT = """
1. 32 channels of a 32x32 image, pooled once by 2x2 and flattened: how many numbers is a linear layer given?
2. Finish Net: images (N, 3, 32, 32) to 10 scores each, (N, 10). It has at least one skip connection that adds, batch
   norm behind its convolutions, and a dropout that works in training alone. Every weight must be trained.
"""

STARTER = '''
"""network-7: count the features, then finish the network."""

from torch import nn
from torch.nn import functional as F

features_behind_one_pooling = None


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 8 * 8, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))  # batch norm, and a skip connection
        x = self.pool(x)
        x = x.flatten(1)
        x = F.dropout(x, 0.3)  # in evaluation too?
        return self.fc(x)
'''

HINTS = (
    "One pooling makes 16x16 of 32x32: 32 x 16 x 16 numbers.",
    "self.bn1 = nn.BatchNorm2d(32), and x = F.relu(self.bn1(self.conv1(x))).",
    "conv2 takes and makes 32 channels of one size, so x = F.relu(x + self.bn2(self.conv2(x))) adds equal shapes.",
    "self.dropout = nn.Dropout(0.3) in __init__, self.dropout(x) in forward.",
)

_HEAD = STARTER.partition("class Net")[0].replace("None", "32 * 16 * 16").lstrip("\n")


def _net(**changed: str) -> str:
    part = {
        "layers": "self.bn1, self.bn2 = nn.BatchNorm2d(32), nn.BatchNorm2d(32)",
        "first": "x = F.relu(self.bn1(self.conv1(x)))",
        "block": "x = F.relu(x + self.bn2(self.conv2(x)))",
        "pool": "x = self.pool(x).flatten(1)",
        "drop": "x = self.dropout(x)",
        "end": "return self.fc(x)",
        "fc": "self.fc = nn.Linear(32 * 16 * 16, 10)",
    } | changed
    return (
        f"{_HEAD}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)\n        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)\n"
        f"        {part['layers']}\n        self.pool = nn.MaxPool2d(2)\n        self.dropout = nn.Dropout(0.3)\n"
        f"        {part['fc']}\n\n    def forward(self, x):\n        {part['first']}\n        {part['block']}\n"
        f"        {part['pool']}\n        {part['drop']}\n        {part['end']}\n"
    )


SOLUTION = _net()
RIGHT = {
    "mean over places": _net(pool="x = x.mean(dim=(2, 3))", fc="self.fc = nn.Linear(32, 10)"),
    "adaptive pooling": _net(pool="x = F.adaptive_avg_pool2d(x, 1).flatten(1)", fc="self.fc = nn.Linear(32, 10)"),
    "dropout as a function, told": _net(drop="x = F.dropout(x, 0.3, training=self.training)"),
    "channels dropped": _net(layers="self.bn1, self.bn2 = nn.BatchNorm2d(32), nn.BatchNorm2d(32)\n        "
                             "self.drop2 = nn.Dropout2d(0.2)", pool="x = self.pool(self.drop2(x)).flatten(1)"),
    "pooled twice": _net(pool="x = self.pool(self.pool(x)).flatten(1)", fc="self.fc = nn.Linear(32 * 8 * 8, 10)"),
    "one of the references": _HEAD + "from skipstone.models.tutorials import FinishedCNN\n\n\ndef Net():\n    "
    "return FinishedCNN(widths=(8, 16), blocks_per_stage=1)\n",
    "a library's block": _HEAD + "from skipstone.models.tutorials import ResidualBlock\n\n\n"
    "def Net():\n    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), ResidualBlock(64, 64), "
    "nn.BatchNorm2d(64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10))\n",
}  # fmt: skip
WRONG = {
    "the tutorial's linear": (_net(fc="self.fc = nn.Linear(32 * 8 * 8, 10)"), "8192"),
    "dropout always on": (_net(drop="x = F.dropout(x, 0.3)"), "drops in evaluation too"),
    "no dropout": (_net(drop="pass"), "there is no dropout"),
    "dropout of nothing": (_net(drop="x = F.dropout(x, 0.0, training=self.training)"), "there is no dropout"),
    "no skip": (_net(block="x = F.relu(self.bn2(self.conv2(x)))"), "no skip connection"),
    "no batch norm": (_net(layers="pass", first="x = F.relu(self.conv1(x))", block="x = F.relu(x + self.conv2(x))"),
                      "no batch norm"),
    "one batch norm": (_net(layers="self.bn1 = nn.BatchNorm2d(32)", block="x = F.relu(x + self.conv2(x))"),
                       "1 batch norm for 2 convolutions"),
    "a softmax": (_net(end="return self.fc(x).softmax(dim=1)"), "they sum to 1"),
    "classes forgotten": (_net(fc="self.fc = nn.Linear(32 * 16 * 16, 100)"), "expected (2, 10)"),
    "a layer cut off": (_net(first="x = F.relu(self.bn1(self.conv1(x))).detach()"), "no gradient reaches bn1"),
    "features of two poolings": (SOLUTION.replace("pooling = 32 * 16 * 16", "pooling = 32 * 8 * 8"), "halved once"),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.deep_cnn import DeepCNNRepaired

    return shape_ledger(
        DeepCNNRepaired(), (2, 3, 32, 32), until="pool", note="the tutorial's network, up to its linear layer:"
    )


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _features, _net_is_finished)


def _features(answers: "Answers") -> Point:
    given, expected = answers.value(FEATURES), 32 * 16 * 16
    line = answers.line(FEATURES.name)
    if given is None:
        return wrong(f"{FEATURES.name} is not filled in yet", line)
    if given == expected:
        return right(f"{expected:,} numbers: 32 channels of 16x16")
    return wrong(f"{FEATURES.name} is not {given!r}: 32 is halved once, so there are 32 channels of 16x16", line)


def _net_is_finished(answers: "Answers") -> Iterator[Point]:
    used, trained = answers.network(EVAL), answers.network(TRAIN)
    line = used.line() or answers.line("Net")
    if used.output != (2, 10):
        yield wrong(f"Net gives {used.output}, expected (2, 10) for two images", line)
    elif _are_shares(used):
        yield wrong("Net gives no scores: they sum to 1, as behind a softmax; leave it out", line)
    else:
        yield right(f"Net gives 10 scores an image; {used.num_parameters:,} parameters")
    yield _has_skip(used, line)
    yield _has_norms(used, line)
    yield _drops(used, trained, line)
    silent = [name for name, norm in trained.gradients(answers.seed).items() if norm == 0 and ".bias" not in name]
    if silent:
        yield wrong(f"no gradient reaches {', '.join(sorted(silent))}", line)
    else:
        yield right("every weight is trained")


def _are_shares(net: "Net") -> bool:
    import torch

    with torch.no_grad():
        y = net.run(torch.randn(2, 3, 32, 32))
    return bool((y >= 0).all()) and torch.allclose(y.sum(dim=1), torch.ones(2), atol=1e-4)


def _has_skip(net: "Net", line: int | None) -> Point:
    added = [skip for skip in net.skips if skip.merge == "add"]
    if not added:
        return wrong("there is no skip connection in Net that adds", line)
    return right(f"{len(added)} skip connection{'s' * (len(added) > 1)} that add{'s' * (len(added) == 1)}")


def _has_norms(net: "Net", line: int | None) -> Point:
    num_norms, num_convs = len(net.nodes("norm")), len(net.nodes("conv"))
    if not num_norms:
        return wrong("there is no batch norm in Net", line)
    if 2 * num_norms < num_convs or (num_norms < num_convs and num_convs < 3):
        return wrong(f"{num_norms} batch norm for {num_convs} convolutions; put one behind each", line)
    return right(f"{num_norms} batch norms for {num_convs} convolutions")


def _drops(used: "Net", trained: "Net", line: int | None) -> Point:
    def active(net: "Net") -> list[int]:
        found = [n for n in net.graph if n.op in _DROPOUTS]
        return [n.index for n in found if n.argument("training", n.arguments.get("arg2")) and n.argument("p", 0.5)]

    if active(used):
        return wrong("the dropout drops in evaluation too", used.line_of(active(used)[0]) or line)
    if not active(trained):
        any_at_all = any(node.op in _DROPOUTS for node in trained.graph)
        return wrong("the dropout drops nothing" if any_at_all else "there is no dropout in Net", line)
    return right("dropout works in training, and not in evaluation")
