"""A ResNet adds; a DenseNet joins. Each layer of a dense block is given everything made before it, side by side, and
adds k channels of its own (k is called the growth rate):

    x1 = f1(x)                     k channels of k0
    x2 = f2(cat([x, x1]))          k channels of k0 + k
    x3 = f3(cat([x, x1, x2]))      k channels of k0 + 2k

Joining asks for equal height and width only: channels may differ. But whatever comes next must be told how many there
are now: forget it, and the next convolution refuses. Addition keeps the channels, concatenation does not.

Each layer makes few channels, so dense networks have few weights. Their layers grow wide on the input side: the last
of a long block reads hundreds of channels to make twelve. And all that was made is kept until the end of the block:
weights are saved, memory is not.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from skipstone.learn.asks import Calls, Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, in_parts, right, wrong

if TYPE_CHECKING:
    from torch import Tensor

    from skipstone.learn.answers import Answers, Net

TITLE = "from addition to concatenation: a dense block"
K0, K, LAYERS = 16, 12, 4
CHANNELS = Calls("channels_after", ((16, 12, 0), (16, 12, 1), (16, 12, 4), (24, 32, 6), (64, 32, 24)))
BLOCK = Network("DenseBlock", (2, K0, 8, 8), (K0, K, LAYERS))
SHORT = Network("DenseBlock", (2, 5, 6, 6), (5, 3, 2))
WEIGHTS, PLAIN = Value("weights_per_layer"), Value("weights_of_a_plain_layer")
ASKS = (CHANNELS, BLOCK, SHORT, WEIGHTS, PLAIN)

STATEMENT = """
1. channels_after(k0, k, layers): how many channels come out of a dense block, its input included.
2. DenseBlock(k0, k, layers): each layer is a 3x3 convolution and a ReLU; it is given the input and the outputs of all
   layers before it, joined. The block returns all of it joined.
3. For k0 = 16, k = 12 and 4 layers: the number of weights (no biases) of each 3x3 convolution, in order; and of one
   plain 3x3 convolution that takes and makes as many channels as come out of the block.
"""

STARTER = '''
"""concat-6: a dense block, and what it costs."""

import torch
from torch import nn
from torch.nn import functional as F


def channels_after(k0, k, layers):
    return k0  # to be mended


class DenseBlock(nn.Module):
    def __init__(self, k0, k, layers):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(k0, k, 3, padding=1) for i in range(layers))

    def forward(self, x):
        for conv in self.convs:
            x = x + F.relu(conv(x))  # an addition; it should be a concatenation
        return x


weights_per_layer = None  # four numbers, for k0 = 16, k = 12
weights_of_a_plain_layer = None
'''

HINTS = (
    "Each layer puts k channels beside what is there: k0, k0 + k, k0 + 2k, ...",
    "Layer i is given k0 + i * k channels: nn.Conv2d(k0 + i * k, k, 3, padding=1).",
    "x = torch.cat([x, F.relu(conv(x))], dim=1): the channels are axis 1.",
    "A 3x3 convolution has 9 x (channels in) x (channels out) weights. 64 channels come out of the block.",
)

SOLUTION = (
    STARTER.replace("return k0  # to be mended", "return k0 + k * layers")
    .replace("nn.Conv2d(k0, k, 3", "nn.Conv2d(k0 + i * k, k, 3")
    .replace(
        "x = x + F.relu(conv(x))  # an addition; it should be a concatenation",
        "x = torch.cat([x, F.relu(conv(x))], dim=1)",
    )
    .replace("weights_per_layer = None", "weights_per_layer = [9 * 16 * 12, 9 * 28 * 12, 9 * 40 * 12, 9 * 52 * 12]")
    .replace("plain_layer = None", "plain_layer = 9 * 64 * 64")
    .lstrip("\n")
)
_CAT = "x = torch.cat([x, F.relu(conv(x))], dim=1)"
_LOOP = f"        for conv in self.convs:\n            {_CAT}\n        return x\n"
RIGHT = {
    "newest first": SOLUTION.replace("[x, F.relu(conv(x))]", "[F.relu(conv(x)), x]"),
    "a list of features": SOLUTION.replace(
        _LOOP,
        "        features = [x]\n        for conv in self.convs:\n"
        "            features.append(F.relu(conv(torch.cat(features, 1))))\n        return torch.cat(features, dim=1)\n",
    ),
    "counted step by step": SOLUTION.replace(
        "return k0 + k * layers", "for _ in range(layers):\n        k0 += k\n    return k0"
    ),
    "with batch norm": SOLUTION.replace(
        "nn.Conv2d(k0 + i * k, k, 3, padding=1)",
        "nn.Sequential(nn.BatchNorm2d(k0 + i * k), nn.ReLU(), nn.Conv2d(k0 + i * k, k, 3, padding=1))",
    ),
    "counted by running": SOLUTION.replace(
        "weights_per_layer = [9 * 16 * 12, 9 * 28 * 12, 9 * 40 * 12, 9 * 52 * 12]",
        "weights_per_layer = [conv.weight.numel() for conv in DenseBlock(16, 12, 4).convs]",
    ).replace("plain_layer = 9 * 64 * 64", "plain_layer = nn.Conv2d(64, 64, 3).weight.numel()"),
}
WRONG = {
    "still an addition": (
        SOLUTION.replace(_CAT, "x = x + F.relu(conv(x))").replace("nn.Conv2d(k0 + i * k", "nn.Conv2d(k0"),
        "cannot add 16 channels to 12 channels",
    ),
    "not told the next layer": (SOLUTION.replace("k0 + i * k, k, 3", "k0, k, 3"), "is made for 16 features and meets 28"),
    "only the last two": (
        SOLUTION.replace(
            _LOOP,
            "        before = x[:, :0]\n        for conv in self.convs:\n            y = F.relu(conv(torch.cat([x, before], 1)))\n"
            "            before, x = x, y\n        return x\n",
        ).replace("nn.Conv2d(k0 + i * k, k", "nn.Conv2d((k0, k0 + k, 2 * k, 2 * k)[i], k"),
        "expected (2, 64, 8, 8)",
    ),
    "without the input": (
        SOLUTION.replace("        return x\n", "        return x[:, self.convs[0].in_channels :]\n"), "expected (2, 64, 8, 8)"
    ),
    "along the height": (SOLUTION.replace("dim=1", "dim=2"), "does not run"),
    "the layers side by side": (
        SOLUTION.replace(_LOOP, "        return torch.cat([x, *(F.relu(conv(x)) for conv in self.convs)], dim=1)\n")
        .replace("nn.Conv2d(k0 + i * k", "nn.Conv2d(k0"),
        "reads 16 channels, expected 28",
    ),
    "one layer too many counted": (SOLUTION.replace("k * layers", "k * (layers + 1)"), "channels_after(16, 12, 0)"),
    "the same for every layer": (
        SOLUTION.replace("[9 * 16 * 12, 9 * 28 * 12, 9 * 40 * 12, 9 * 52 * 12]", "[9 * 16 * 12] * 4"), "layer 2 reads 28"
    ),
    "places counted": (SOLUTION.replace("plain_layer = 9 * 64 * 64", "plain_layer = 64 * 64"), "9 x 64 x 64"),
}  # fmt: skip


def picture() -> str:
    import torch
    from torch import nn

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(16, 12, 3, padding=1)
            self.conv2 = nn.Conv2d(28, 12, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.cat([x, self.conv1(x)], 1)
            return torch.cat([x, self.conv2(x)], 1)

    return drawing(Dense(), (2, 16, 8, 8), "two dense layers of growth 12: the channels after each joining")


def judge(answers: "Answers") -> Iterator[Point]:
    return in_parts(answers, _counting, _blocks, _costs)


def _blocks(answers: "Answers") -> Iterator[Point]:
    for ask in (BLOCK, SHORT):
        yield _block(answers.network(ask), ask)


def _counting(answers: "Answers") -> Point:
    line = answers.line("channels_after")
    for case, given in zip(CHANNELS.cases, answers.calls(CHANNELS), strict=True):
        k0, k, layers = case
        assert isinstance(k0, int)
        assert isinstance(k, int)
        assert isinstance(layers, int)
        expected = _truth(k0, k, layers)
        if given != expected:
            each = f"each of the {layers} layers puts" if layers > 1 else "the layer puts"
            why = f"{k0} come in and {each} {k} beside them" if layers else f"{k0} come in, and there is no layer"
            return wrong(f"channels_after{case} is not {given!r}: {why}, which makes {expected}", line)
    return right("channels_after counts k0 + k for each layer")


def _truth(k0: int, k: int, layers: int) -> int:
    """Counted by joining tensors without values."""
    import torch

    x = torch.empty(1, k0, 1, 1, device="meta")
    for _ in range(layers):
        x = torch.cat([x, x.new_empty(1, k, 1, 1)], dim=1)
    return x.shape[1]


def _block(net: "Net", ask: Network) -> Point:
    import torch

    k0, k, layers = (int(str(size)) for size in ask.arguments)
    made, expected = f"DenseBlock{ask.arguments}", (2, _truth(k0, k, layers), *ask.example[2:])
    if net.output != expected:
        return wrong(f"{made} gives {net.output}, expected {expected}: all that was made, joined", net.line())
    convs = net.nodes("conv")
    if len(convs) != layers:
        return wrong(f"{made} runs {len(convs)} convolutions, expected {layers}", net.line())
    for i, conv in enumerate(convs):
        read = net.shape_at(conv.inputs[0])[1]
        if read != k0 + i * k:
            return wrong(
                f"in {made} layer {i + 1} reads {read} channels, expected {k0 + i * k}", net.line_of(conv.index)
            )
    x = torch.randn(ask.example)
    with torch.no_grad():
        tensors = net.tensors(x)
    y = tensors[net.graph.outputs[0]]
    if not any(torch.equal(y[:, c : c + k0], x) for c in range(y.shape[1] - k0 + 1)):
        return wrong(f"{made} does not hand its input on as it is", net.line())
    given = [*(tensors[conv.inputs[0]] for conv in convs), y]
    joined = any(skip.merge == "cat" for skip in net.joins)
    if not joined and not all(_holds(after, before) for before, after in pairwise(given)):
        return wrong(f"in {made} what was made before is not joined: no skip arrives at a concatenation", net.line())
    return right(f"{made} gives {expected}; {net.num_parameters:,} parameters")


def _holds(after: "Tensor", before: "Tensor") -> bool:
    """Is every channel of `before` a channel of `after`, in whatever order? Both are (N, C, H, W)."""
    apart = (after.unsqueeze(1) - before.unsqueeze(2)).abs().amax(dim=(0, 3, 4))
    return bool((apart.amin(dim=1) == 0).all())


def _costs(answers: "Answers") -> Iterator[Point]:
    per_layer = tuple(9 * (K0 + i * K) * K for i in range(LAYERS))
    given, line = answers.value(WEIGHTS), answers.line(WEIGHTS.name)
    if given is None:
        yield wrong("weights_per_layer is not filled in yet", line)
    elif given == per_layer:
        yield right(f"the layers have {', '.join(f'{n:,}' for n in per_layer)} weights: small, and wider each time")
    elif isinstance(given, tuple) and len(given) == LAYERS:
        i = next(i for i in range(LAYERS) if given[i] != per_layer[i])
        yield wrong(
            f"weights_per_layer: layer {i + 1} reads {K0 + i * K} channels and makes {K}: 9 x {K0 + i * K} x {K}, "
            f"not {given[i]!r}",
            line,
        )
    else:
        yield wrong(f"weights_per_layer is {given!r}, expected {LAYERS} numbers", line)
    given, line = answers.value(PLAIN), answers.line(PLAIN.name)
    wide = _truth(K0, K, LAYERS)
    if given is None:
        yield wrong("weights_of_a_plain_layer is not filled in yet", line)
    elif given == 9 * wide * wide:
        yield right(f"one plain layer of that width has {9 * wide * wide:,}, the whole dense block {sum(per_layer):,}")
    else:
        yield wrong(f"weights_of_a_plain_layer is not {given!r}: {wide} channels in and out, 9 x {wide} x {wide}", line)
