"""Which axis of the input counts tokens (steps, places, words), proven by what the network does along it."""

from collections.abc import Iterator

from skipstone.graphs.axes import Axes
from skipstone.graphs.operations import has_role, names
from skipstone.graphs.sample_axis import Key, Recorded, axis_of, table_positions

_POOLED = names("averaging") | {"sum", "max"}


def token_axes(subject: Recorded) -> frozenset[Key]:
    """The input axes proven to count tokens; none that a convolution takes for its channels."""
    found = {*_mixed(subject), *_pooled(subject), *_words(subject), *table_positions(subject)} - {*_channels(subject)}
    return frozenset(key for key in found if key is not None)


def is_flattened(key: Key) -> bool:
    """Was the axis made of several by a view: places of a map in a row?"""
    return key[:1] == ("merged",)


def _mixed(subject: Recorded) -> Iterator[Key | None]:
    """The axes along which attention or recurrence mixes."""
    for node in subject.graph:
        if not node.inputs or node.tainted:
            continue
        source, axes = node.inputs[0], subject.axes[node.index]
        if node.op == "multi_head_attention_forward":
            yield axis_of(subject, source, 0)
        elif node.op == "scaled_dot_product_attention":
            yield axis_of(subject, source, -2)
        elif has_role(node, "recurrent"):
            yield from (axis_of(subject, source, axis) for axis in _times(node.arguments, subject.axes[source]))
        elif has_role(node, "product") and len(axes) > 2 and axes[-1].same(axes[-2]):
            yield axes[-1].key


def _times(arguments: object, axes: Axes) -> tuple[int, ...]:
    """The time axis of a recurrent layer: its last flag is `batch_first`."""
    values = arguments.values() if isinstance(arguments, dict) else ()
    flags = [value for value in values if isinstance(value, bool)]
    return (int(bool(flags and flags[-1])),) if len(axes) == 3 else ()


def _pooled(subject: Recorded) -> Iterator[Key | None]:
    """The axis between samples and features over which a mean or the like is taken."""
    for node in subject.graph:
        if node.op in _POOLED and len(node.inputs) == 1 and not node.tainted:
            source, dim = node.inputs[0], node.argument("dim", node.argument("arg1"))
            axes = subject.axes[source]
            if dim in (1, -2) and len(axes) == 3 and axes[2].kind == "made":
                yield axis_of(subject, source, 1)


def _words(subject: Recorded) -> Iterator[Key]:
    """The second axis of an input of whole numbers that an embedding reads."""
    for node in subject.graph:
        if node.op == "embedding" and len(subject.axes[node.inputs[0]]) == 2:
            key = axis_of(subject, node.inputs[0], 1)
            if key is not None:
                yield key


def _channels(subject: Recorded) -> Iterator[Key | None]:
    """What convolutions and pools take for their channels."""
    for node in subject.graph:
        if has_role(node, "conv", "pool") and not node.tainted and node.inputs:
            source = node.inputs[0]
            spatial = int(node.op[-2]) if node.op[-1] == "d" else 1
            yield axis_of(subject, source, -spatial - 1)
