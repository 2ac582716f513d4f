"""What to write in Keras' own words, whose maps keep their channels last."""

from skipstone.checks.mending.operands import Operands
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node

_CONVS = {3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}  # by the rank of a map with its batch


def keras_advice(subject: Subject, node: Node) -> tuple[str, ...]:
    """The 1x1 convolution of Keras that would let the shortcut of a failed addition meet its branch, if one does.

    It is advice and no repair: a Keras model rebuilds itself from its configuration when it is copied, and an edit of a
    copy would be lost.
    """
    graph = subject.graph
    if node.op != "add" or not any(info.module.startswith("keras.") for info in graph.modules.values()):
        return ()
    met = Operands.of(subject, node)
    rank = len(met.shapes[0])
    if met.features != rank - 1 or rank not in _CONVS or sorted(met.labels) != ["branch", "shortcut"]:
        return ()
    branch, shortcut = met.labels.index("branch"), met.labels.index("shortcut")
    before, after = met.sizes(shortcut), met.sizes(branch)
    stride = -(-before[0] // after[0])
    if any(-(-size // stride) != wanted for size, wanted in zip(before, after, strict=True)):
        return ()
    written = ", ".join([str(met.shapes[branch][-1]), "1", *(f"strides={stride}" for _ in range(stride > 1))])
    return (f"pass the shortcut through keras.layers.{_CONVS[rank]}({written})",)
