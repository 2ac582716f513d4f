"""A convolution slides a small window over an image. How large its output is follows from four numbers alone: the size
h of the input, the kernel k, the padding p and the stride s.

    size after a convolution or a pooling  =  floor((h + 2p - k) / s) + 1

A 3x3 convolution with padding 1 and stride 1 keeps the size: (32 + 2 - 3) / 1 + 1 = 32. A 2x2 pooling, whose stride is
2, halves it: floor((32 - 2) / 2) + 1 = 16. The channels do not follow from the input: a convolution has as many as you
give it, a pooling keeps them.

PyTorch writes the shape of a tensor as (batch, channels, height, width). The batch goes through every layer unchanged,
and belongs to the shape. A skip connection adds two tensors, so both must have the same shape: whoever wires skips
reads shapes first.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from skipstone.learn.asks import Value
from skipstone.learn.pictures import shape_ledger
from skipstone.learn.verdict import Point, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers

TITLE = "the shape table of a CIFAR network"
BATCH = 64
TENSORS = ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3")
SHAPES = Value("shapes")
ASKS = (SHAPES,)

STATEMENT = """
Images of CIFAR-10 come in batches of 64: a tensor of shape (64, 3, 32, 32). They go through

    conv1   3 -> 16 channels, kernel 3, padding 1       pool1   max pooling, 2x2
    conv2  16 -> 32 channels, kernel 3, padding 1       pool2   max pooling, 2x2
    conv3  32 -> 64 channels, kernel 3, padding 1       pool3   max pooling, 2x2

in this order, a ReLU behind each convolution. Fill in the shape of each of the six outputs, batch included.
"""

STARTER = '''
"""shapes-1: replace each None by the shape of that layer's output, as (batch, channels, height, width)."""

shapes = {
    "conv1": None,
    "pool1": None,
    "conv2": None,
    "pool2": None,
    "conv3": None,
    "pool3": None,
}
'''

HINTS = (
    "The batch, 64, stands first in all six shapes.",
    "Kernel 3 with padding 1 keeps height and width; only the channels change. conv1 gives (64, 16, 32, 32).",
    "A 2x2 pooling keeps the channels and halves height and width: 32, 16, 8, 4.",
)

SOLUTION = """
shapes = {
    "conv1": (64, 16, 32, 32),
    "pool1": (64, 16, 16, 16),
    "conv2": (64, 32, 16, 16),
    "pool2": (64, 32, 8, 8),
    "conv3": (64, 64, 8, 8),
    "pool3": (64, 64, 4, 4),
}
"""

_BY_RUNNING = """
import torch
from torch import nn

layers = {
    "conv1": nn.Conv2d(3, 16, 3, padding=1), "pool1": nn.MaxPool2d(2),
    "conv2": nn.Conv2d(16, 32, 3, padding=1), "pool2": nn.MaxPool2d(2),
    "conv3": nn.Conv2d(32, 64, 3, padding=1), "pool3": nn.MaxPool2d(2),
}
x, shapes = torch.zeros(64, 3, 32, 32), {}
for name, layer in layers.items():
    x = layer(x)
    shapes[name] = x.shape
"""
_BY_FORMULA = """
def size(h, k, p=0, s=1):
    return (h + 2 * p - k) // s + 1


shapes, h = {}, 32
for number, channels in enumerate((16, 32, 64), start=1):
    h = size(h, 3, 1)
    shapes[f"conv{number}"] = [64, channels, h, h]
    h = size(h, 2, s=2)
    shapes[f"pool{number}"] = [64, channels, h, h]
"""
RIGHT = {
    "lists": SOLUTION.replace("(", "[").replace(")", "]"),
    "by running": _BY_RUNNING,
    "by the formula": _BY_FORMULA,
    "more than asked": SOLUTION.replace("{", '{\n    "input": (64, 3, 32, 32),', 1),
    "other order and bindings": "a = (64, 16, 32, 32)\n" + SOLUTION.replace("(64, 16, 32, 32)", "a"),
}
WRONG = {
    "no batch": (SOLUTION.replace("(64, 16, 32, 32)", "(16, 32, 32)"), "the batch is missing"),
    "batch of one": (SOLUTION.replace("(64, ", "(1, "), "the batch is 64"),
    "no padding": (SOLUTION.replace("(64, 16, 32, 32)", "(64, 16, 30, 30)"), "padding 1 keeps 32"),
    "pooling changes nothing": (SOLUTION.replace("(64, 16, 16, 16)", "(64, 16, 32, 32)"), "pooling makes 16 of 32"),
    "channels last": (SOLUTION.replace("(64, 16, 32, 32)", "(64, 32, 32, 16)"), "channels stand second"),
    "pooling takes channels": (SOLUTION.replace("(64, 32, 8, 8)", "(64, 16, 8, 8)"), "a pooling keeps the channels"),
    "channels of the input": (SOLUTION.replace("(64, 16, 32, 32)", "(64, 3, 32, 32)"), "conv1 makes 16 channels"),
    "a text": (SOLUTION.replace("(64, 64, 4, 4)", "'64x64x4x4'"), "not a shape"),
    "left out": (SOLUTION.replace('    "pool3": (64, 64, 4, 4),\n', ""), "pool3 is missing"),
}


def picture() -> str:
    """What each layer does to the shape, as the recorder sees it."""
    from skipstone.models.tutorials.layer_one_to_three import LayerOneToThree

    return shape_ledger(
        LayerOneToThree(),
        (2, 3, 32, 32),
        until="conv2",
        note="the first layers of such a network, for a batch of 2 (halve is a 2x2 pooling):",
    )


@cache
def truth() -> dict[str, tuple[int, ...]]:
    """The six shapes, from the recorded network."""
    import torch
    from torch import nn

    from skipstone.tracing import trace

    with torch.device("meta"):
        layers = [
            layer
            for before, after in ((3, 16), (16, 32), (32, 64))
            for layer in (nn.Conv2d(before, after, 3, padding=1), nn.MaxPool2d(2))
        ]
    graph = trace(nn.Sequential(*layers), (BATCH, 3, 32, 32))
    return dict(zip(TENSORS, (node.shape for node in graph if node.kind == "op"), strict=True))


def judge(answers: "Answers") -> Iterator[Point]:
    given, expected = answers.value(SHAPES), truth()
    if not isinstance(given, dict):
        yield wrong(f"shapes is {given!r}, expected a dict with the six shapes", answers.line("shapes"))
        return
    before: tuple[int, ...] = (BATCH, 3, 32, 32)
    for name in TENSORS:
        line = answers.line("shapes", name)
        if name not in given:
            yield wrong(f"{name} is missing", answers.line("shapes"))
        elif given[name] == expected[name]:
            yield right(f"{name} is {expected[name]}")
        elif given[name] is None:
            yield wrong(f"{name} is not filled in yet", line)
        else:
            yield wrong(f"{name} is not {given[name]!r}: {_why(name, given[name], expected[name], before)}", line)
        before = expected[name]


def _why(name: str, given: object, expected: tuple[int, ...], before: tuple[int, ...]) -> str:
    is_conv = name.startswith("conv")
    if not isinstance(given, tuple) or not all(isinstance(size, int) for size in given):
        return f"{given!r} is not a shape; write a tuple of four numbers"
    if given == expected[1:]:
        return "the batch is missing, it stands first"
    if len(given) != 4:
        return f"a shape here has four numbers (batch, channels, height, width), this one has {len(given)}"
    if given == (expected[0], *expected[2:], expected[1]) and given != expected:
        return "in PyTorch the channels stand second, before height and width"
    if given[0] != expected[0]:
        return f"the batch is {expected[0]} at every layer"
    if given[1] != expected[1]:
        made = f"{name} makes {expected[1]} channels" if is_conv else "a pooling keeps the channels"
        return f"{made}, and {expected[1]} is what there are"
    h = before[2]
    if is_conv:
        return f"kernel 3 with padding 1 keeps {h}: ({h} + 2 - 3) / 1 + 1"
    return f"a 2x2 pooling makes {expected[2]} of {h}: ({h} - 2) / 2 + 1"
