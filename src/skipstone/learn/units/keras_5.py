"""The residual block again, now in Keras:

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
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from skipstone.learn.asks import KerasModel, Network, Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, in_parts, not_judged, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers, Net

TITLE = "the Keras block: channels last, and a 1x1 for other channels"
KERAS, TORCH = Value("keras_output"), Value("the_same_in_pytorch")
SAME = Network("Block", (2, 9, 7, 16), (16, 16))
OTHER = Network("Block", (2, 9, 7, 16), (16, 24))
IN_KERAS = (KerasModel("keras_block", (2, 9, 7, 16), (16,)), KerasModel("keras_block", (2, 9, 7, 16), (24,)))
ASKS = (KERAS, TORCH, SAME, OTHER, *IN_KERAS)

STATEMENT = """
1. The Keras block above, with 64 filters, is given a batch of shape (32, 28, 20, 64). What shape comes out?
2. How would PyTorch write the shape of that output?
3. Write the block in PyTorch for tensors as Keras has them: Block(in_channels, filters) takes (N, H, W, in_channels)
   and gives (N, H, W, filters), relu(x + conv2(relu(conv1(x)))), with a 1x1 on x where the channels differ.
4. Mend keras_block(x, filters), the block in Keras, so that it works where x has other channels than filters, too. It
   is built and run in Keras. Where Keras is not installed this part is left out, and the verdict says so.
"""

STARTER = '''
"""keras-5: two shapes, the Keras block written in PyTorch, channels last, and the block in Keras itself."""

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


def keras_block(x, filters):  # x is what keras.Input gives, or a layer
    from keras import layers

    y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(filters, 3, padding="same")(y)
    y = layers.Add()([x, y])
    return layers.Activation("relu")(y)
'''

HINTS = (
    "'same' keeps height and width, 64 filters make 64 channels: nothing changes.",
    "In PyTorch the channels stand second: (batch, channels, height, width).",
    "Permute on the way in, x = x.permute(0, 3, 1, 2), and back on the way out, y.permute(0, 2, 3, 1).",
    "nn.Conv2d(in_channels, filters, 1) on x where in_channels != filters.",
    "In Keras: if x.shape[-1] != filters: x = layers.Conv2D(filters, 1)(x), before the Add.",
)

_BODY = (
    STARTER.replace("keras_output = None", "keras_output = (32, 28, 20, 64)")
    .replace("in_pytorch = None", "in_pytorch = (32, 64, 28, 20)")
    .lstrip("\n")
)
_INIT = _BODY[: _BODY.index("\n    def forward")]
_FIT = (
    "        same = in_channels == filters\n"
    "        self.fit = nn.Identity() if same else nn.Conv2d(in_channels, filters, 1)\n"
)
_ADD = "    y = layers.Add()([x, y])\n"
_KERAS = _BODY[_BODY.index("\n\ndef keras_block") :].replace(
    _ADD, f"    if x.shape[-1] != filters:\n        x = layers.Conv2D(filters, 1)(x)\n{_ADD}"
)


def _with(layers: str, *lines: str, keras: str = _KERAS) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return f"{_INIT}{layers}\n    def forward(self, x):\n{body}{keras}"


def _keras(*lines: str) -> str:
    """The solution with another block in Keras."""
    return SOLUTION.replace(
        _KERAS, "".join(["\n\ndef keras_block(x, filters):\n", *(f"    {line}\n" for line in lines)])
    )


_IN, _OUT = "x = x.permute(0, 3, 1, 2)", "return F.relu(y).permute(0, 2, 3, 1)"
_BRANCH = "y = self.conv2(F.relu(self.conv1(x)))"
SOLUTION = _with(_FIT, _IN, _BRANCH, "y = self.fit(x) + y", _OUT)
_LAYERS = "from keras import layers"
_CONV1 = 'y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)'
_CONV2 = 'y = layers.Conv2D(filters, 3, padding="same")(y)'
_RELU = 'return layers.Activation("relu")(y)'
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
    "Keras: plus, always projected": _keras(
        _LAYERS, _CONV1, _CONV2, "return layers.ReLU()(layers.Conv2D(filters, 1, use_bias=False)(x) + y)"
    ),
    "Keras: layers.add, a relu of keras.ops": _keras(
        "import keras", "from keras.layers import Conv2D", 'y = Conv2D(filters, 3, 1, "same")(x)', "y = keras.ops.relu(y)",
        'y = Conv2D(filters, 3, 1, "same")(y)', "same = x.shape[-1] == filters",
        "return keras.ops.relu(keras.layers.add([y, x if same else Conv2D(filters, 1)(x)]))",
    ),
    "Keras: with batch norm": _keras(
        _LAYERS, 'y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)',
        "y = layers.ReLU()(layers.BatchNormalization()(y))", _CONV2, "y = layers.BatchNormalization()(y)",
        "x = layers.BatchNormalization()(layers.Conv2D(filters, 1)(x))", "y = layers.Add()([x, y])", _RELU,
    ),
    "Keras: a layer of one's own": _keras(
        "import keras", "", "class Block(keras.layers.Layer):", "    def __init__(self):", "        super().__init__()",
        '        self.a = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")',
        '        self.b = keras.layers.Conv2D(filters, 3, padding="same")',
        "        self.fit = keras.layers.Conv2D(filters, 1)", "", "    def call(self, x):",
        "        return keras.ops.relu(self.fit(x) + self.b(self.a(x)))", "", "return Block()(x)",
    ),
    "Keras: a dense layer for the 1x1": _keras(
        _LAYERS, _CONV1, _CONV2, "y = layers.Add()([layers.Dense(filters)(x), y])", _RELU
    ),
    "Keras: zero channels": _keras(
        "import keras", _LAYERS, _CONV1, _CONV2,
        "x = keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, filters - x.shape[-1]]])", "y = layers.Add()([x, y])", _RELU,
    ),
}  # fmt: skip
_NEEDS_KERAS = {
    "Keras: no 1x1": (SOLUTION.replace(_KERAS, _BODY[_BODY.index("\n\ndef keras_block") :]), "cannot add 16 channels to 24"),
    "Keras: no skip": (_keras(_LAYERS, _CONV1, _CONV2, _RELU), "no skip connection in keras_block(x, 16)"),
    "Keras: padding forgotten": (
        SOLUTION.replace('3, padding="same", activation="relu"', '3, activation="relu"'), "cannot add 9x7 to 7x5"
    ),
    "Keras: joined, not added": (
        SOLUTION.replace("layers.Add()", "layers.Concatenate()"), "keras_block(x, 16) gives (2, 9, 7, 32)"
    ),
    "Keras: over one convolution": (
        _keras(_LAYERS, _CONV1, "y = layers.Add()([y, layers.Conv2D(filters, 1)(x)])", _CONV2, _RELU),
        "adds x over both convolutions",
    ),
    "Keras: other filters": (
        SOLUTION.replace("layers.Conv2D(filters, 1)(x)", "layers.Conv2D(filters + 1, 1)(x)"), "cannot add 25 channels to 24"
    ),
    "Keras: a stride": (
        SOLUTION.replace('layers.Conv2D(filters, 3, padding="same")(y)', 'layers.Conv2D(filters, 3, 2, padding="same")(y)'),
        "cannot add 9x7 to 5x4",
    ),
    "Keras: no activation": (SOLUTION.replace(', activation="relu")(x)', ")(x)"), "keras_block(x, 16): the ReLU between"),
    "Keras: nothing returned": (SOLUTION.replace(f"    {_RELU}\n", ""), "returns NoneType"),
    "Keras: reshaped": (
        _keras(_LAYERS, "x = layers.Reshape((x.shape[2], x.shape[1], x.shape[3]))(x)", _CONV1, _CONV2,
               "x = layers.Conv2D(filters, 1)(x)", "y = layers.Add()([x, y])", "y = layers.Reshape((9, 7, filters))(y)", _RELU),
        "keras_block(x, 16) mixes",
    ),
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
    "no ReLU at the end": (SOLUTION.replace("return F.relu(y)", "return y"), "the ReLU behind the sum is missing"),
    "no ReLU between": (SOLUTION.replace("F.relu(self.conv1(x))", "self.conv1(x)"), "the ReLU between the two"),
    "padding forgotten": (SOLUTION.replace(', padding="same")\n        self', ")\n        self"), "cannot add"),
    "channels first for Keras": (
        SOLUTION.replace("keras_output = (32, 28, 20, 64)", "keras_output = (32, 64, 28, 20)"), "channels last"
    ),
    "channels last for PyTorch": (
        SOLUTION.replace("in_pytorch = (32, 64, 28, 20)", "in_pytorch = (32, 28, 20, 64)"), "the channels second"
    ),
    **(_NEEDS_KERAS if find_spec("keras") else {}),
}  # fmt: skip


def picture() -> str:
    from skipstone.models.tutorials.keras_block import keras_residual_block

    return drawing(
        keras_residual_block(64, size=8), (2, 8, 8, 64), "the block in Keras, recorded; the channels stand last:"
    )


def judge(answers: "Answers") -> Iterator[Point]:
    in_keras = [partial(_block, ask=model, made=f"keras_block(x, {model.arguments[0]})") for model in IN_KERAS]
    blocks = [partial(_block, ask=block, made=f"Block{block.arguments}") for block in (SAME, OTHER)]
    return in_parts(answers, _shapes, *blocks, *([_not_in_keras] if keras_output()[1] else in_keras))


def _not_in_keras(answers: "Answers") -> Point:
    return not_judged(f"keras_block is not judged, since Keras can't run here: {keras_output()[1]}")


def _shapes(answers: "Answers") -> Iterator[Point]:
    import torch

    made, _ = keras_output()
    in_torch = tuple(torch.empty(made, device="meta").permute(0, 3, 1, 2).shape)
    for ask, expected, why in (
        (KERAS, made, "Keras has the channels last, 'same' keeps height and width, and 64 filters make 64 channels"),
        (TORCH, in_torch, "the batch first, the channels second, then height and width"),
    ):
        given, line = answers.value(ask), answers.line(ask.name)
        if given is None:
            yield wrong(f"{ask.name} is not filled in yet", line)
        elif given == expected:
            yield right(f"{ask.name} is {expected}")
        else:
            yield wrong(f"{ask.name} is not {given!r}: {why}", line)


@cache
def keras_output() -> tuple[tuple[int, ...], str]:
    """The shape that Keras gives for the first question, asked of Keras; and what is missing where it can't be asked."""
    from skipstone.models.tutorials.keras_block import KerasMissingError, keras_residual_block

    try:
        made = cast("Any", keras_residual_block(64, size=(28, 20))).output_shape
    except KerasMissingError as error:
        return (32, 28, 20, 64), str(error)
    return (32, *made[1:]), ""


def _block(answers: "Answers", ask: Network | KerasModel, made: str) -> Point:
    expected = (*ask.example[:3], ask.arguments[-1])
    net = answers.network(ask)
    line = net.line() or answers.line(ask.name)
    if net.output != expected:
        return wrong(f"{made} gives {net.output}, expected {expected}", line)
    if not any(join.merge == "add" and join.span >= 2 for join in net.joins):  # a matmul may stand for the 1x1
        return wrong(f"there is no skip connection in {made} that adds x over both convolutions", line)
    if not _is_local(net):
        return wrong(
            f"{made} mixes channels with places: a change of one place of x reaches places that two 3x3 convolutions "
            "can't; permute the axes, don't view or reshape them",
            line,
        )
    if missing := _missing_relu(net):
        return wrong(f"{made}: {missing}", line)
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


def _missing_relu(net: "Net") -> str:
    """Measured: below zero nothing comes out, and above it not a straight line along every change of x."""
    import torch

    x, change = torch.randn(2, *net.shape_at(net.graph.inputs[0]))
    with torch.no_grad():
        before, here, behind = (net.run(x + step * change) for step in (-1, 0, 1))
    if bool((here < 0).any()):
        return "numbers below zero come out; the ReLU behind the sum is missing"
    above = (before > 0) & (here > 0) & (behind > 0)
    if bool(above.any()) and torch.allclose((before + behind)[above], 2 * here[above], atol=1e-4):
        return "the ReLU between the two convolutions is missing"
    return ""
