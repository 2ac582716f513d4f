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

from skipstone.checks.failures import failing, operands
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import ModuleSpec, ReplaceModule
from skipstone.core.graph import shape_text
from skipstone.tracing.torch_internals import NORMS

RULE = Rule(
    "SK108",
    "one-value-per-channel",
    "error",
    "a batch norm in training gets one value per channel",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "one-value-per-channel"):
        shape = subject.graph[node.inputs[0]].shape
        message = f"{node.op} in training gets one value per channel: {shape_text(shape)}"
        # Behind the first one all maps are as small, and a batch of one is the same for every norm.
        yield Fault(at(node), message, operands(node), cause=RULE.name)


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """A norm that needs no batch."""
    node = subject.graph[fault.where.node]
    module = subject.module_at(node.module)
    channels = subject.graph[node.inputs[0]].shape[1]
    if isinstance(module, NORMS):
        spec = ModuleSpec("GroupNorm", {"num_groups": 1, "num_channels": channels})
        yield Proposal(
            f"{node.module} = {spec}", (ReplaceModule(node.module, spec),), "a norm over each image's own features"
        )
