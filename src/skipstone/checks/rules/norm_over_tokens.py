"""Norm over tokens: a batch norm takes the tokens of (batch, tokens, features) for its channels.

What it finds:
    A batch norm of (batch, tokens, features) whose axis 1 counts tokens: places of a map in a row, words, or an axis
    along which attention, recurrence or a mean runs; and whose last axis was made by a layer and is read as features
    behind it. Without such a proof (a linear layer over the steps of several sensors) it is left alone.
Why it matters:
    Each position gets a mean and a scale of its own, over all features; only the one length that the norm was made for
    runs, and features keep their unequal scales.
Example:
    `nn.BatchNorm1d(steps)` on (batch, steps, features).
Repair:
    `nn.LayerNorm(features)`, or a transpose before and behind `nn.BatchNorm1d(features)`.
Effect of the repair:
    Another function, for every length.
References:
    Ioffe and Szegedy 2015, Batch Normalization, 1502.03167, section 3.2 (a pair of parameters for each feature).
"""

from collections.abc import Iterator

from skipstone.checks.around import owner
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node, shape_text
from skipstone.graphs.token_axis import is_flattened, token_axes

RULE = Rule("SK223", "norm-over-tokens", "warning", "a batch norm takes tokens for its channels")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for node in graph:
        if node.op == "batch_norm" and len(node.shape) == 3 and not node.tainted and node.failure is None:
            source = graph[node.inputs[0]]
            if _is_tokens(subject, source):
                message = (
                    f"the batch norm takes axis 1 of {shape_text(source.shape)} for its channels: these are the "
                    f"{source.shape[1]} positions, the features are on axis 2"
                )
                yield Fault(at(node, module=node.module or owner(graph, node)), message, (source.shape,))


def _is_tokens(subject: Subject, source: Node) -> bool:
    """Does axis 1 count tokens? TSMixer (2303.06053) has linear layers over the time of (batch, sensors, time)."""
    axes = subject.axes[source.index]
    if len(axes) != 3 or axes[1].kind != "carried" or axes[2].kind != "made":
        return False
    if subject.layout.feature_axis(source.index) != 2:
        return False
    return is_flattened(axes[1].key) or axes[1].key in token_axes(subject)
