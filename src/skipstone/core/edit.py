"""Edits: what to change in a network, as plain data.

Checks propose them, surgery carries them out on a live network or in its source, experiments name variants by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from skipstone.core.graph import Place


@dataclass(frozen=True, slots=True)
class Site:
    """One call in a forward pass: the module whose forward makes it, where it is written, which run of that line.

    `occurrence` counts the runs of the same place within one call of the module from 0 (a line in a loop runs often);
    None means every run. `op` is the recorded operation, by `Node.op`, or "call" for that of a module; `operands`
    counts the tensors it was given (0: not known).
    """

    module: str
    place: Place
    op: str
    occurrence: int | None = None
    operands: int = 0


ConnectMerge = Literal["add", "cat", "mul", "gate"]
AtInit = Literal["zero", "plain"]


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A layer to be made: a class of `torch.nn`, or `package.module:name` of a class or function, and its arguments.

    The layers of a `Sequential` are arguments too, each a `ModuleSpec`, in order; their names do not matter.
    `code` is how source text would write it where that differs from the call itself ("" where it does not).

    >>> str(ModuleSpec("Conv2d", {"in_channels": 16, "out_channels": 32, "kernel_size": 1}))
    'nn.Conv2d(in_channels=16, out_channels=32, kernel_size=1)'
    """

    type: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    code: str = ""

    def __str__(self) -> str:
        if self.code:
            return self.code
        name = self.type.rpartition(":")[2] if ":" in self.type else f"nn.{self.type}"
        parts = self.type == "Sequential"
        texts = (str(v) if isinstance(v, ModuleSpec) else repr(v) for v in self.arguments.values())
        pairs = zip(self.arguments, texts, strict=True)
        return f"{name}({', '.join(text if parts else f'{key}={text}' for key, text in pairs)})"


TransformKind = Literal[
    "module",  # pass the operand through a new module
    "clone",
    "zero",  # zeros of the same shape
    "crop-like",  # cut the far end of each spatial axis down to the other operand's size
    "center-crop-like",
    "pad-like",  # zeros at the far end of each spatial axis up to the other operand's size
    "interpolate-like",  # nearest neighbour to the other operand's size
    "interpolate-grid-like",  # positions of a map to the tokens of another: `arguments["grid"]`, see the transform
    "expand-like",  # repeat along axes of size 1 up to the other operand's size
    "flatten",  # all axes from 1 on into one
    "unsqueeze",  # new axes of size 1: `arguments["dims"]`, in the order applied
    "permute",  # axes in the order `arguments["dims"]`
]


@dataclass(frozen=True, slots=True)
class Transform:
    """What happens to one operand. `like` is the index of the operand whose size is matched, for the `-like` kinds.

    Sizes are matched on the spatial axes, 2 and on; `arguments["axes"]` names other ones.
    """

    kind: TransformKind
    module: ModuleSpec | None = None
    like: int | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Change settings of a module in place of its own: `inplace=False`, `ceil_mode=True`, `stride=(2, 2)`."""

    module: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReplaceModule:
    """Put a new module at a path; weights of equal name and shape are carried over."""

    module: str
    new: ModuleSpec


@dataclass(frozen=True, slots=True)
class MapOperand:
    """Transform one operand (by its index among the call's tensors) first. `name` is that of the new module, if any."""

    site: Site
    operand: int
    transform: Transform
    name: str = "skipstone_shortcut"


@dataclass(frozen=True, slots=True)
class SetArgument:
    """Change one argument of a call: `dim=1`, `keepdim=True`."""

    site: Site
    name: str
    value: object


@dataclass(frozen=True, slots=True)
class OutOfPlace:
    """Make an in-place call (`a += b`, `a.add_(b)`, `relu(x, inplace=True)`) give a new tensor instead."""

    site: Site


@dataclass(frozen=True, slots=True)
class DropOperand:
    """Take one operand out of a merge: `a + b` becomes `a`, `cat([a, b])` becomes `cat([a])`."""

    site: Site
    operand: int


@dataclass(frozen=True, slots=True)
class TakeItem:
    """Go on with one of the values that a call returns: `self.attn(x, x, x)` becomes `self.attn(x, x, x)[0]`.

    `name` is what is called, for words.
    """

    site: Site
    index: int
    name: str = "the call"


@dataclass(frozen=True, slots=True)
class Connect:
    """Add a skip from the output of one module to the output of another; a source "" is the model's first input.

    `shortcut` reconciles the shapes (None: identity). With `at_init="zero"` a factor that starts at 0 makes the new
    network's output equal to the old one's. `name` is the prefix of the new parameters in the target. An occurrence
    says which run of a module is meant, counted from 0; None where it runs once. With `clone` a copy of the source is
    kept, for a source that a later operation overwrites. A concatenation is along `axis`.
    """

    source: str
    target: str
    merge: ConnectMerge
    shortcut: ModuleSpec | None = None
    at_init: AtInit = "plain"
    name: str = "skipstone_skip"
    source_occurrence: int | None = None
    target_occurrence: int | None = None
    clone: bool = False
    axis: int = 1


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Take away a skip that `Connect` added: `target.name` is what it registered there."""

    target: str
    name: str = "skipstone_skip"


@dataclass(frozen=True, slots=True)
class NarrowInput:
    """Let a layer (convolution, linear, norm) read only the input channels of `ranges`, each [start, stop)."""

    module: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WidenInput:
    """Let a layer read `count` further input channels, after the others; their weights start at zero, or as drawn."""

    module: str
    count: int
    at_init: AtInit = "plain"


Edit = (
    SetAttributes
    | ReplaceModule
    | MapOperand
    | SetArgument
    | OutOfPlace
    | DropOperand
    | TakeItem
    | Connect
    | Disconnect
    | NarrowInput
    | WidenInput
)
Edits = tuple[Edit, ...]
