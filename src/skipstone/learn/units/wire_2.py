"""A skip connection carries the output of an early layer past the layers between and adds it to a later one. In

    a1 = pool(relu(conv1(x)))      (N, 16, 16, 16)
    a2 = pool(relu(conv2(a1)))     (N, 32,  8,  8)
    a3 = pool(relu(conv3(a2)))     (N, 64,  4,  4)

a1 and a3 can't be added: 16 channels against 64, 16x16 against 4x4. Two small layers make them fit. A 1x1 convolution
mixes the channels at each place, and so gives any number of channels without touching the size. A pooling, or a
stride, gives any smaller size without touching the channels. Or no weights at all: pool, then fill up with zero
channels, as the first ResNets did.

Their order matters. A 1x1 convolution costs (channels in) x (channels out) multiply-adds at each place: it is
cheap on 4x4 places and dear on 16x16. With average pooling both orders give the very same numbers, because a mean of
sums is a sum of means. With max pooling they do not: the largest of the sums is not the sum of the largest.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skipstone.graphs.costs import cost
from skipstone.learn.asks import Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from torch import nn

    from skipstone.learn.answers import Answers

TITLE = "wire layer 1 to layer 3"
NET = Network("Net", (2, 3, 32, 32))
PROJECT_FIRST, POOL_FIRST = Value("macs_project_first"), Value("macs_pool_first")
SAME_MAX, SAME_AVERAGE = Value("max_pool_same_either_way"), Value("average_pool_same_either_way")
ASKS = (NET, PROJECT_FIRST, POOL_FIRST, SAME_MAX, SAME_AVERAGE)
A1, A3 = (2, 16, 16, 16), (2, 64, 4, 4)

STATEMENT = """
The network below adds nothing yet. Put a skip connection from a1, the output of layer 1, to a3, the output of layer 3:
forward is to return a3 + (a1 made to fit), of shape (N, 64, 4, 4). Leave the three layers as they are.

Then say what it costs, for one image: the multiply-adds of the 1x1 convolution if it comes first, on a1 as it is, and
if it comes after a 4x4 pooling. And do both orders give the same numbers, with max pooling, and with average pooling?
"""

STARTER = '''
"""wire-2: add a skip connection from a1 to a3, then fill in the four answers at the end."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        a1 = self.pool(F.relu(self.conv1(x)))   # (N, 16, 16, 16)
        a2 = self.pool(F.relu(self.conv2(a1)))  # (N, 32, 8, 8)
        a3 = self.pool(F.relu(self.conv3(a2)))  # (N, 64, 4, 4)
        return a3


macs_project_first = None  # the 1x1 convolution 16 -> 64 on 16x16 places
macs_pool_first = None  # the same on the 4x4 places behind a pooling
max_pool_same_either_way = None  # True or False
average_pool_same_either_way = None
'''

HINTS = (
    "In __init__, make a layer that gives 64 channels of 16: nn.Conv2d(16, 64, 1). And one that gives 4x4 of 16x16.",
    "16 / 4 = 4, so the pooling is nn.MaxPool2d(4) or nn.AvgPool2d(4). Or give the 1x1 convolution stride=4 instead.",
    "return a3 + self.fit_pool(self.fit_channels(a1)).",
    "16 x 64 products at each place: times 16 x 16 places, or times 4 x 4 places.",
)

_BODY = STARTER.partition("macs_project_first")[0]
_VALUES = """macs_project_first = 16 * 64 * 16 * 16
macs_pool_first = 16 * 64 * 4 * 4
max_pool_same_either_way = False
average_pool_same_either_way = True
"""


def _with(layers: str, returned: str) -> str:
    made = _BODY.replace("        self.pool = nn.MaxPool2d(2)\n", f"        self.pool = nn.MaxPool2d(2)\n{layers}")
    return (made.replace("        return a3\n", f"        {returned}\n") + _VALUES).lstrip("\n")


_PROJECT = "        self.fit = nn.Conv2d(16, 64, 1)\n"
SOLUTION = _with(_PROJECT, "return a3 + self.fit(F.avg_pool2d(a1, 4))")
RIGHT = {
    "project, then max pool": _with(_PROJECT, "return a3 + F.max_pool2d(self.fit(a1), 4)"),
    "max pool, then project": _with(_PROJECT, "return self.fit(F.max_pool2d(a1, 4)) + a3"),
    "strided 1x1": _with("        self.fit = nn.Conv2d(16, 64, 1, stride=4)\n", "return torch.add(a3, self.fit(a1))"),
    "zero channels": _with("", "return a3 + F.pad(F.avg_pool2d(a1, 4), (0, 0, 0, 0, 0, 48))"),
    "zeros joined": _with(
        "", "y = a1[:, :, ::4, ::4]\n        return a3 + torch.cat([y, torch.zeros(y.shape[0], 48, 4, 4)], 1)"
    ),
    "batch norm, in place": _with(
        "        self.fit = nn.Sequential(nn.Conv2d(16, 64, 1, bias=False), nn.BatchNorm2d(64), nn.AvgPool2d(4))\n",
        "a3 += self.fit(a1)\n        return a3",
    ),
    "3x3 strided": _with("        self.fit = nn.Conv2d(16, 64, 3, stride=4, padding=1)\n", "return a3 + self.fit(a1)"),
}
WRONG = {
    "added as they are": (_with("", "return a3 + a1"), "cannot add 64 channels to 16 channels"),
    "channels alone": (_with(_PROJECT, "return a3 + self.fit(a1)"), "cannot add 4x4 to 16x16"),
    "pooling alone": (_with("", "return a3 + F.max_pool2d(a1, 4)"), "cannot add 64 channels to 16 channels"),
    "from layer 2": (
        _with("        self.fit = nn.Conv2d(32, 64, 1)\n", "return a3 + F.max_pool2d(self.fit(a2), 2)"),
        "starts at a tensor of shape (2, 32, 8, 8)",
    ),
    "from the image": (
        _with("        self.fit = nn.Conv2d(3, 64, 1)\n", "return a3 + F.max_pool2d(self.fit(x), 8)"),
        "starts at a tensor of shape (2, 3, 32, 32)",
    ),
    "only the shortcut": (_with(_PROJECT, "return self.fit(F.max_pool2d(a1, 4))"), "no skip connection"),
    "joined, not added": (
        _with("", "return torch.cat([a3, F.max_pool2d(a1, 4)], 1)[:, :64]"), "joins by cat"
    ),
    "mean over the places": (
        _with(_PROJECT, "return a3 + self.fit(a1).mean(dim=(2, 3), keepdim=True)"), "no skip connection in it"
    ),
    "cost of one place": (SOLUTION.replace("16 * 64 * 16 * 16", "16 * 64"), "one place alone"),
    "orders swapped": (
        SOLUTION.replace("first = 16 * 64 * 16 * 16", "first = 16 * 64 * 4 * 4 + 0"),
        "16x16 places, since it comes first",
    ),
    "max pooling taken for linear": (SOLUTION.replace("way = False", "way = True"), "the largest of the sums"),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.layer_one_to_three import LayerOneToThree

    return drawing(LayerOneToThree(pool="avg", pool_first=True), (2, 3, 32, 32), "one way to wire it:")


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _skip, _orders)


def _orders(answers: "Answers") -> Iterator[Point]:
    from torch import nn

    for ask, places, words in (
        (PROJECT_FIRST, 16, "the 1x1 convolution works on 16x16 places, since it comes first"),
        (POOL_FIRST, 4, "the 1x1 convolution works on 4x4 places, since the pooling comes first"),
    ):
        yield _cost(answers, ask, places, words)
    yield _same(answers, SAME_MAX, nn.MaxPool2d(4), "the largest of the sums is not the sum of the largest")
    yield _same(answers, SAME_AVERAGE, nn.AvgPool2d(4), "a mean of sums is the sum of the means")


def _skip(answers: "Answers") -> Iterator[Point]:
    net = answers.network(NET)
    convs = [net.settings(node) for node in net.nodes("conv")]
    if net.output != A3:
        yield wrong(f"forward returns {net.output}, expected {A3} for a batch of 2", net.line())
    if not net.joins:
        yield wrong(
            "there is no skip connection in it: no two paths from one tensor meet again, place by place", net.line()
        )
        return
    skip = net.joins[-1]
    start, line = net.shape_at(skip.source_node), net.line_of(skip.merge_node)
    if skip.merge != "add":
        yield wrong(f"the skip joins by {skip.merge}, expected an addition", line)
    elif {(3, 1, 1)} != set(convs[:3]) or len(convs) < 3:
        yield wrong("the three layers are not as they were: three convolutions of kernel 3, padding 1", line)
    elif start != A1:
        yield wrong(f"the skip starts at a tensor of shape {start}; a1, after the pooling, is {A1}", line)
    else:
        cost_text = f"{net.macs - _plain_macs():,} multiply-adds more than without it, for one image"
        yield right(f"a skip from a1 to a3, a {skip.kind} of {', '.join(skip.shortcut_ops)}; {cost_text}")
        silent = [name for name, norm in net.gradients(answers.seed).items() if norm == 0]
        if silent:
            yield wrong(f"no gradient reaches {', '.join(sorted(silent))}", line)


def _plain_macs() -> int:
    return 32 * 32 * 27 * 16 + 16 * 16 * 144 * 32 + 8 * 8 * 288 * 64


def _cost(answers: "Answers", ask: Value, places: int, words: str) -> Point:
    import torch
    from torch import nn

    from skipstone.tracing import trace

    given = answers.value(ask)
    with torch.device("meta"):
        expected = cost(trace(nn.Conv2d(16, 64, 1), (1, 16, places, places))).macs
    if given == expected:
        return right(f"{ask.name} is {expected:,}")
    line = answers.line(ask.name)
    if given is None:
        return wrong(f"{ask.name} is not filled in yet", line)
    if given == 16 * 64:
        return wrong(f"{ask.name}: 16 x 64 = 1,024 is the cost of one place alone", line)
    return wrong(f"{ask.name} is not {given!r}: {words}, 16 x 64 products at each", line)


def _same(answers: "Answers", ask: Value, pool: "nn.Module", why: str) -> Point:
    """The key is measured: both orders on a drawn tensor."""
    import torch
    from torch import nn

    given = answers.value(ask)
    conv, x = nn.Conv2d(16, 64, 1).double(), torch.randn(2, 16, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        apart = float((pool(conv(x)) - conv(pool(x))).abs().max())
    expected = apart < 1e-9
    if given is expected:
        return right(f"{ask.name} is {expected}: {why} (largest difference measured: {apart:.1e})")
    line = answers.line(ask.name)
    if given is None:
        return wrong(f"{ask.name} is not filled in yet", line)
    return wrong(f"{ask.name} is not {given!r}: {why} (largest difference measured: {apart:.1e})", line)
