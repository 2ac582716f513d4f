"""Which axis of the input counts the samples of a batch, proven by what the network does with it.

A convolution takes its first axis for samples; a position table that is stretched along one axis and not along the
other tells samples from positions; an output with one row for each entry of an axis keeps the samples. Attention says
what it takes for samples too, but it is often the suspect.
"""

from collections.abc import Iterator
from typing import Protocol

from skipstone.core.graph import Graph, Node
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.axes import Axes, Axis
from skipstone.graphs.operations import has_role
from skipstone.graphs.walks import sources

Key = tuple[object, ...]


class Recorded(Protocol):
    """A recorded pass with what has been worked out about it."""

    @property
    def graph(self) -> Graph: ...
    @property
    def ancestry(self) -> Ancestry: ...
    @property
    def axes(self) -> tuple[Axes, ...]: ...


def sample_axes(subject: Recorded) -> frozenset[Key]:
    """The input axes proven to count samples, attention's own view left out."""
    votes = [*_layers(subject), *(samples for samples, _ in _tables(subject)), *_outputs(subject)]
    return frozenset(votes) - table_positions(subject) - frozenset(_picked(subject))


def attention_samples(subject: Recorded) -> frozenset[Key]:
    """The input axes that attention and recurrent layers take for samples."""
    found = (
        axis_of(subject, node.inputs[0], _own_samples(node))
        for node in subject.graph
        if has_role(node, "recurrent") or node.op == "multi_head_attention_forward"
        if len(subject.axes[node.inputs[0]]) == 3
    )
    return frozenset(key for key in found if key is not None)


def _own_samples(node: Node) -> int:
    """The axis of its input that a layer of tokens takes for samples; a recurrent one's last flag is `batch_first`."""
    flags = [value for value in node.arguments.values() if isinstance(value, bool)]
    return 0 if has_role(node, "recurrent") and flags and flags[-1] else 1


def table_positions(subject: Recorded) -> frozenset[Key]:
    """The input axes along which a learned or stored table tells positions apart."""
    return frozenset(positions for _, positions in _tables(subject))


def _layers(subject: Recorded) -> Iterator[Key]:
    for node in subject.graph:
        if not has_role(node, "features first", "pool") or node.tainted:
            continue
        axes = subject.axes[node.inputs[0]]
        spatial = int(node.op[-2]) if node.op[-1] == "d" else 1
        if len(axes) >= spatial + 2 and axes[0].kind == "carried":
            yield axes[0].key


def _tables(subject: Recorded) -> Iterator[tuple[Key, Key]]:
    """(samples, positions) of every learned or stored table added to tokens of the form (., ., features)."""
    graph = subject.graph
    for node in graph:
        if node.op != "add" or len(node.inputs) != 2 or len(node.shape) != 3 or node.tainted:
            continue
        for tokens, table in (node.inputs, node.inputs[::-1]):
            if subject.ancestry.active[table] or not subject.ancestry.active[tokens]:
                continue
            sizes = (1,) * (3 - len(graph[table].shape)) + graph[table].shape
            axes = subject.axes[tokens]
            if len(axes) != 3 or not _carried(axes):
                continue
            if sizes[0] == 1 < node.shape[0] and sizes[1] == node.shape[1] > 1:
                yield axes[0].key, axes[1].key
            elif sizes[1] == 1 < node.shape[1] and sizes[0] == node.shape[0] > 1:
                yield axes[1].key, axes[0].key


def _picked(subject: Recorded) -> Iterator[Key]:
    """The input axes whose entries another input picks: a graph's nodes by its edges, which are no samples."""
    for node in subject.graph:
        if node.op != "index_select" or len(node.inputs) != 2 or not subject.ancestry.active[node.inputs[1]]:
            continue
        dim = node.argument("dim", 0)
        key = axis_of(subject, node.inputs[0], dim) if isinstance(dim, int) else None
        if key is not None:
            yield key


def _carried(axes: Axes) -> bool:
    return axes[0].kind == axes[1].kind == "carried" and axes[2].kind != "carried"


def _outputs(subject: Recorded) -> Iterator[Key]:
    """An output (entries, features) of a network whose tokens had two axes: one row a sample."""
    graph = subject.graph
    if len(graph.outputs) != 1:
        return
    axes: tuple[Axis, ...] = subject.axes[graph.outputs[0]]
    if len(axes) == 2 and axes[0].kind == "carried" and axes[1].kind == "made" and axes[0].key[0] in graph.inputs:
        yield axes[0].key


def axis_of(subject: Recorded, index: int, position: int) -> Key | None:
    """The input axis that an axis of a node carries, None where it is another or not known."""
    axes = subject.axes[index]
    if not -len(axes) <= position < len(axes) or axes[position].kind != "carried":
        return None
    return axes[position].key


def random_factor(subject: Recorded, node: Node) -> int | None:
    """The operand of a product that is drawn by chance, not made from the input: a mask of dropped branches."""
    if node.op != "mul" or len(node.inputs) != 2 or node.tainted:
        return None
    first, second = node.inputs
    for values, mask in ((first, second), (second, first)):
        if subject.ancestry.active[values] and not subject.ancestry.active[mask] and _is_random(subject, mask):
            return mask
    return None


def _is_random(subject: Recorded, index: int) -> bool:
    """Is chance among what the tensor, which no input leads to, was made of?"""
    return any(has_role(node, "random") for node in sources(subject.graph, index, lambda node: True))
