"""Drop-path axis: stochastic depth drops tokens or places instead of samples.

What it finds:
    A random mask with one entry for each place of an axis that is not the batch (1 on all other axes), multiplied onto
    the branch of a residual.
Why it matters:
    Stochastic depth drops the branch of whole samples. Along another axis it drops the same tokens for every sample.
Example:
    A `DropPath` that masks axis 0 in a transformer whose tensors are (tokens, batch, features).
Repair:
    A mask with its entries on the batch axis.
Effect of the repair:
    No parameters; evaluation stays as it is, training drops what was meant.
References:
    Huang et al. 2016, Deep Networks with Stochastic Depth, 1603.09382, section 3.
"""

from collections.abc import Iterator

from skipstone.checks.around import merge_around, met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node, shape_text
from skipstone.graphs.sample_axis import Key, attention_samples, axis_of, random_factor, sample_axes

RULE = Rule("SK216", "drop-path-axis", "warning", "stochastic depth drops tokens or places instead of samples")


def check(subject: Subject) -> Iterator[Fault]:
    masked = [(node, mask) for node in subject.graph if (mask := random_factor(subject, node)) is not None]
    if not masked:
        return
    samples = sample_axes(subject) or attention_samples(subject)
    for node, mask in masked:
        dropped = _dropped_axis(subject, node, mask)
        skip = merge_around(subject, node.index)
        if dropped is None or not samples or dropped[1] in samples or skip is None or node.index not in skip.main:
            continue
        merge = subject.graph[skip.merge_node]
        shape = shape_text(subject.graph[mask].shape)
        where = f" at {node.place}" if node.place else ""
        message = f"the mask {shape}{where} drops places along axis {dropped[0]}, the same ones for every sample"
        yield Fault(at(merge), message, met(subject.graph, merge))


def _dropped_axis(subject: Subject, node: Node, mask: int) -> tuple[int, Key] | None:
    """The one axis along which the mask has entries, and the input axis that it carries.

    Entries along several axes are dropout's: of values, or of whole maps a sample (SpatialDropout, 1411.4280).
    """
    shape = subject.graph[mask].shape
    values = next((i for i in node.inputs if i != mask), mask)
    entries = [axis for axis, size in enumerate(shape) if size > 1]
    if len(shape) != len(node.shape) or len(entries) != 1 or shape[entries[0]] != node.shape[entries[0]]:
        return None
    key = axis_of(subject, values, entries[0])
    return None if key is None else (entries[0], key)
