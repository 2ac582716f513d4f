"""One value per channel: a batch norm in training gets one value per channel.

What it finds:
    A batch norm in training mode, or an instance norm, over a map of one value per channel: torch raises.
Why it matters:
    A variance needs two values: a last batch of one image, or a map pooled to 1x1, stops the training.
Example:
    `BatchNorm2d` behind a global average pool, with a batch of one.
Repair:
    A batch of two or more (`drop_last=True`), or a group or layer norm there.
Effect of the repair:
    Another norm computes another function.
References:
    Ioffe and Szegedy 2015, Batch Normalization, 1502.03167, section 3.1.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, finding
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import shape_text

RULE = Rule(
    "SK108",
    "one-value-per-channel",
    "error",
    "a batch norm in training gets one value per channel",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Finding]:
    for node in failing(subject, "one-value-per-channel"):
        shape = subject.graph[node.inputs[0]].shape
        yield finding(node, f"{node.op} in training gets one value per channel: {shape_text(shape)}")
