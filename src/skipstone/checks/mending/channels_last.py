"""What mends a merge in Keras' own words, whose maps keep their channels last."""

from collections.abc import Iterator
from dataclasses import replace

from skipstone.checks.mending.operands import Operands
from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, Transform
from skipstone.core.finding import Shape
from skipstone.core.graph import Graph, Node
from skipstone.surgery import site_of

_CONVS = {3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}  # by the rank of a map with its batch


def is_keras(graph: Graph) -> bool:
    """Is the network made of Keras' layers?"""
    return any(info.module.startswith("keras.") for info in graph.modules.values())


def keras_advice(subject: Subject, node: Node) -> tuple[str, ...]:
    """What to write where no line of the user's adds: a functional model names its merge, and is built, elsewhere."""
    if node.site is not None or not is_keras(subject.graph):
        return ()
    spec = _projection(Operands.of(subject, node)) if node.op == "add" else None
    return () if spec is None else (f"pass the shortcut through {written(spec)}",)


def projected(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """The shortcut of an addition that the user wrote, through a 1x1 convolution of Keras."""
    spec = _projection(met) if met.node.op == "add" and met.node.site is not None else None
    if spec is not None:
        site = replace(site_of(subject.graph, met.node.index), occurrence=None)
        edit = MapOperand(site, met.labels.index("shortcut"), Transform("module", spec))
        yield Proposal(f"projection: {written(spec)} on the shortcut", (edit,), "follows the branch at every size")


def _projection(met: Operands) -> ModuleSpec | None:
    if met.features != len(met.shapes[0]) - 1 or sorted(met.labels) != ["branch", "shortcut"]:
        return None
    return projection(met.shapes[met.labels.index("branch")], met.shapes[met.labels.index("shortcut")])


def projection(branch: Shape, shortcut: Shape) -> ModuleSpec | None:
    """The 1x1 convolution that would let a shortcut meet its branch, channels last; None where none does."""
    if len(branch) != len(shortcut) or len(branch) not in _CONVS:
        return None
    before, after = shortcut[1:-1], branch[1:-1]
    stride = -(-before[0] // after[0])
    if any(-(-size // stride) != wanted for size, wanted in zip(before, after, strict=True)):
        return None
    strides = {"strides": stride} if stride > 1 else {}
    arguments = {"filters": branch[-1], "kernel_size": 1, **strides}
    return ModuleSpec(f"keras.layers:{_CONVS[len(branch)]}", arguments)


def written(spec: ModuleSpec) -> str:
    """The layer as Keras code, `keras.layers.Conv2D(128, 1)`."""
    filters, size, *strides = spec.arguments.values()
    arguments = ", ".join([str(filters), str(size), *(f"strides={stride}" for stride in strides)])
    return f"keras.layers.{spec.type.rpartition(':')[2]}({arguments})"
