"""The network as recorded: one node per tensor, in the order the forward pass made them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import PurePath
from typing import Literal

NodeKind = Literal["input", "parameter", "buffer", "constant", "op"]

_ITEMSIZE = {
    "float64": 8, "int64": 8, "complex64": 8, "complex128": 16, "float32": 4, "int32": 4,
    "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's shape (outermost axis first) and dtype by torch's name for it, without `torch.`."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * _ITEMSIZE.get(self.dtype, 1)

    def __str__(self) -> str:
        return shape_text(self.shape)


def shape_text(shape: tuple[int, ...]) -> str:
    """`(2, 16, 8, 8)`: the way torch users write a shape."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


@dataclass(frozen=True, slots=True)
class Place:
    """A span of source text. Lines count from 1, columns from 0, as in `ast`."""

    file: str
    line: int
    end_line: int
    column: int
    end_column: int
    function: str

    def __str__(self) -> str:
        return f"{PurePath(self.file).name}:{self.line}"


@dataclass(frozen=True, slots=True)
class NodeRef:
    """Stands for a tensor among a node's arguments."""

    index: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why torch refused an operation; the recorder went on with the node's own spec as an assumed result.

    `operands` are the shapes that met, as the operation saw them: both terms of an addition, the input and the weight
    of a layer, the source and the requested shape of a view.
    """

    error: str
    message: str
    operands: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One tensor of the forward pass and the operation that made it.

    `op` is torch's name for the operation without underscores (`conv2d`, `add`, `relu`, `cat`, `getitem`, ...);
    for other kinds it is the kind itself. `inputs` are the tensor operands in argument order; `arguments` holds
    every argument by name where the name is known (`arg3` where not), with a `NodeRef` for each tensor.
    `overwrites` is the node whose value an in-place operation replaced, else None; nodes of equal `storage` share
    memory (-1: not known). An operation with several results has one node for each, told apart by `output`.
    `place` is the line of the user's code, `site` that of the call itself, which may lie inside torch.
    `call` indexes the graph's `calls`. `tainted` marks what follows from an assumed shape.
    """

    index: int
    op: str
    kind: NodeKind
    inputs: tuple[int, ...]
    spec: TensorSpec
    module: str = ""
    call: int = -1
    name: str = ""
    place: Place | None = None
    site: Place | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    overwrites: int | None = None
    storage: int = -1
    output: int = 0
    failure: Failure | None = None
    tainted: bool = False
    requires_grad: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape

    def argument(self, name: str, default: object = None) -> object:
        value = self.arguments.get(name, default)
        return default if value is None else value

    def __str__(self) -> str:
        where = f" @{self.module or 'forward'}" + (f" {self.place}" if self.place else "")
        source = f" <- {', '.join(f'%{i}' for i in self.inputs)}" if self.inputs else ""
        return f"%{self.index} {self.name or self.op} {self.spec}{source}{where}"


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module of the network: where it sits, its class, where the class is written, its settings as printed."""

    path: str
    type: str
    module: str
    settings: str
    training: bool
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One run of a module's forward: `occurrence` counts the runs of the same module from 0.

    `first` and `last` bound the nodes recorded while it ran (`last` excluded); `parent` is the call around it.
    `completed` is False where an error left it; `returned` is the type of what its forward returned, "" where it did
    not. `place` is the line of the user's code that called it, `site` the call itself, which may lie inside torch;
    `built_at` the line that once put it into a functional Keras model, which calls it without any line of the user's.
    """

    index: int
    path: str
    occurrence: int
    parent: int
    first: int
    last: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    completed: bool = True
    place: Place | None = None
    returned: str = ""
    site: Place | None = None
    built_at: Place | None = None


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value the recorder had to make up because no data flows: what, and where."""

    what: str
    module: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A backward pass torch will refuse: `saver` kept a tensor for backward which `writer` then overwrote."""

    saver: int
    writer: int
    message: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter by dotted name: was it `used` in the forward pass, does a gradient reach it from an output?"""

    name: str
    spec: TensorSpec
    requires_grad: bool
    used: bool
    reached: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Where and why recording had to end before the forward pass did.

    `own`: the network's own code is wrong, in its line or in how it calls torch's modules; `refused`: torch refused an
    operation on these shapes. Neither: the recorder could not follow.
    """

    error: str
    message: str
    module: str
    place: Place | None
    own: bool = False
    refused: bool = False

    def __str__(self) -> str:
        return f"stopped at {self.module or 'forward'}{f' ({self.place})' if self.place else ''}: {self.message}"


@dataclass(frozen=True)
class Graph:
    """One recorded forward pass.

    `outputs` are the nodes the model returned, in flattened order; `stopped` is set where the record is partial.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    modules: Mapping[str, ModuleInfo]
    calls: tuple[ModuleCall, ...]
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    stopped: Stop | None = None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def line_of(self, index: int) -> Place | None:
        """The user's line that answers for a node: where it runs, or where its layer was put into the model."""
        node = self.nodes[index]
        return node.place if node.place is not None or node.call < 0 else self.calls[node.call].built_at

    @cached_property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the nodes that read it."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for i in dict.fromkeys(node.inputs):
                users[i].append(node.index)
        return tuple(map(tuple, users))

    @cached_property
    def makers(self) -> Mapping[int, str]:
        """For each node that modules below the root returned, the path of the outermost of them."""
        made: dict[int, str] = {}
        for call in self.calls:
            for i in call.outputs if call.path else ():
                if i not in made or call.path.count(".") < made[i].count("."):
                    made[i] = call.path
        return made

    @cached_property
    def failures(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.failure is not None)
