"""The same block in Keras:

    y = Conv2D(64, 3, padding="same", activation="relu")(x)
    y = Conv2D(64, 3, padding="same")(y)
    y = Activation("relu")(Add()([x, y]))

Two things differ from PyTorch. Keras writes a shape as (batch, height, width, channels): the channels stand last,
NHWC. PyTorch writes (batch, channels, height, width), NCHW. And a Keras layer does not say how many channels it takes:
it finds out from its first input; 64 here are the channels it makes.

padding="same" keeps height and width. So the block works as it is where x has as many channels as there are filters.
With other numbers the Add fails, as in PyTorch, and a 1x1 convolution on x mends it: Conv2D(filters, 1)(x).

To go from NHWC to NCHW, axes are permuted: x.permute(0, 3, 1, 2). A view or reshape to the same shape runs too, and is
wrong: it keeps the numbers in their order and mixes channels with places.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skipstone.learn.asks import Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers, Net

TITLE = "the Keras block: channels last, and a 1x1 for other channels"
KERAS, TORCH = Value("keras_output"), Value("the_same_in_pytorch")
SAME = Network("Block", (2, 9, 7, 16), (16, 16))
OTHER = Network("Block", (2, 9, 7, 16), (16, 24))
ASKS = (KERAS, TORCH, SAME, OTHER)

STATEMENT = """
1. The Keras block above, with 64 filters, is given a batch of shape (32, 28, 20, 64). What shape comes out?
2. How would PyTorch write the shape of that output?
3. Write the block in PyTorch for tensors as Keras has them: Block(in_channels, filters) takes (N, H, W, in_channels)
   and gives (N, H, W, filters), relu(x + conv2(relu(conv1(x)))), with a 1x1 on x where the channels differ.
"""

STARTER = '''
"""keras-5: two shapes, and the Keras block written in PyTorch, channels last."""

from torch import nn
from torch.nn import functional as F

keras_output = None
the_same_in_pytorch = None


class Block(nn.Module):
    def __init__(self, in_channels, filters):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, filters, 3, padding="same")
        self.conv2 = nn.Conv2d(filters, filters, 3, padding="same")

    def forward(self, x):  # x is (N, H, W, in_channels)
        y = self.conv2(F.relu(self.conv1(x)))
        return F.relu(x + y)
'''

HINTS = (
    "'same' keeps height and width, 64 filters make 64 channels: nothing changes.",
    "In PyTorch the channels stand second: (batch, channels, height, width).",
    "Permute on the way in, x = x.permute(0, 3, 1, 2), and back on the way out, y.permute(0, 2, 3, 1).",
    "nn.Conv2d(in_channels, filters, 1) on x where in_channels != filters.",
)

_BODY = (
    STARTER.replace("keras_output = None", "keras_output = (32, 28, 20, 64)")
    .replace("in_pytorch = None", "in_pytorch = (32, 64, 28, 20)")
    .lstrip("\n")
)
_FIT = (
    "        same = in_channels == filters\n"
    "        self.fit = nn.Identity() if same else nn.Conv2d(in_channels, filters, 1)\n"
)
_OLD = _BODY[_BODY.index("    def forward") :]
_INIT = _BODY[: _BODY.index("\n    def forward")]


def _with(layers: str, *lines: str) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return f"{_INIT}{layers}\n    def forward(self, x):\n{body}"


_IN, _OUT = "x = x.permute(0, 3, 1, 2)", "return F.relu(y).permute(0, 2, 3, 1)"
_BRANCH = "y = self.conv2(F.relu(self.conv1(x)))"
SOLUTION = _with(_FIT, _IN, _BRANCH, "y = self.fit(x) + y", _OUT)
RIGHT = {
    "movedim": _with(_FIT, "x = x.movedim(-1, 1)", _BRANCH, "return F.relu(y + self.fit(x)).movedim(1, -1)"),
    "added channels last": _with(
        "        self.fit = nn.Linear(in_channels, filters)\n",
        "y = self.conv2(F.relu(self.conv1(x.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)",
        "return F.relu(self.fit(x) + y)",
    ),
    "transposes": _with(
        _FIT, "x = x.transpose(2, 3).transpose(1, 2)", _BRANCH, "y += self.fit(x)",
        "return F.relu(y).transpose(1, 2).transpose(2, 3)",
    ),
    "always projected, contiguous": _with(
        "        self.fit = nn.Conv2d(in_channels, filters, 1, bias=False)\n",
        "x = x.permute(0, 3, 1, 2).contiguous()", _BRANCH, "y = torch.add(y, self.fit(x))", _OUT,
    ).replace("from torch import nn\n", "import torch\nfrom torch import nn\n"),
}  # fmt: skip
WRONG = {
    "not permuted": (
        SOLUTION.replace(f"        {_IN}\n", ""),
        "Block(16, 16) does not run on (2, 9, 7, 16)",
    ),
    "viewed": (
        SOLUTION.replace(_IN, "x = x.reshape(x.shape[0], x.shape[3], x.shape[1], x.shape[2])"), "mixes channels with places"
    ),
    "not permuted back": (SOLUTION.replace(".permute(0, 2, 3, 1)", ""), "gives (2, 16, 9, 7)"),
    "height and width exchanged": (SOLUTION.replace("permute(0, 3, 1, 2)", "permute(0, 3, 2, 1)"), "gives (2, 7, 9, 16)"),
    "no 1x1": (SOLUTION.replace("self.fit(x) + y", "x + y"), "cannot add 16 channels to 24 channels"),
    "no skip": (SOLUTION.replace("self.fit(x) + y", "y"), "no skip connection"),
    "padding forgotten": (SOLUTION.replace(', padding="same"', ""), "cannot add"),
    "channels first for Keras": (
        SOLUTION.replace("keras_output = (32, 28, 20, 64)", "keras_output = (32, 64, 28, 20)"), "channels last"
    ),
    "channels last for PyTorch": (
        SOLUTION.replace("in_pytorch = (32, 64, 28, 20)", "in_pytorch = (32, 28, 20, 64)"), "the channels second"
    ),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.residual_block import ResidualBlock

    return drawing(ResidualBlock(64, 64), (2, 64, 8, 8), "the block as PyTorch has it, channels second:")


def judge(answers: "Answers") -> Iterator[Point]:
    import torch

    # What `padding="same"` and 64 filters make of (32, 28, 20, 64): tests/learn/test_keras_unit.py asks Keras.
    shape = (32, 28, 20, 64)
    in_torch = tuple(torch.empty(shape, device="meta").permute(0, 3, 1, 2).shape)
    for ask, expected, why in (
        (KERAS, shape, "Keras has the channels last, 'same' keeps height and width, and 64 filters make 64 channels"),
        (TORCH, in_torch, "the batch first, the channels second, then height and width"),
    ):
        given, line = answers.value(ask), answers.line(ask.name)
        if given is None:
            yield wrong(f"{ask.name} is not filled in yet", line)
        elif given == expected:
            yield right(f"{ask.name} is {expected}")
        else:
            yield wrong(f"{ask.name} is not {given!r}: {why}", line)
    for block in (SAME, OTHER):
        yield _block(answers.network(block), block)


def _block(net: "Net", ask: Network) -> Point:
    made, expected = f"Block{ask.arguments}", (*ask.example[:3], ask.arguments[1])
    if net.output != expected:
        return wrong(f"{made} gives {net.output}, expected {expected}", net.line())
    if not any(skip.merge == "add" and skip.span >= 2 for skip in net.skips):
        return wrong(f"there is no skip connection in {made} that adds x over both convolutions", net.line())
    if not _is_local(net):
        return wrong(
            f"{made} mixes channels with places: a change of one place of x reaches places that two 3x3 convolutions "
            "can't; permute the axes, don't view or reshape them",
            net.line(),
        )
    return right(f"{made} gives {expected}, and each place sees its own neighbours alone")


def _is_local(net: "Net") -> bool:
    """Measured: change one place of one image, and look where the output changes."""
    import torch

    x = torch.randn(net.shape_at(net.graph.inputs[0]))
    changed = x.clone()
    changed[0, 4, 3] += 1.0
    with torch.no_grad():
        moved = (net.run(x) - net.run(changed)).abs().amax(dim=3) > 1e-7
    allowed = torch.zeros_like(moved)
    allowed[0, 2:7, 1:6] = True
    return bool(moved.any()) and not bool((moved & ~allowed).any())
