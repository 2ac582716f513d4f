"""Repairs of a window, padding or pooling that does not fit into its map."""

from collections.abc import Iterator

from torch import nn

from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import Edit, ModuleSpec, ReplaceModule, SetArgument, SetAttributes
from skipstone.core.finding import Finding
from skipstone.core.graph import Node
from skipstone.graphs.roles import CONV, POOL
from skipstone.surgery import site_of

_PADDINGS = {f"ReflectionPad{n}d": f"ReplicationPad{n}d" for n in (1, 2, 3)}


def too_small(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """A pool that keeps its last pixel, a border that is repeated and not mirrored, a convolution with padding."""
    node = subject.graph[finding.node]
    module = subject.model.get_submodule(node.module)
    if node.op in POOL and node.op[:3] in ("max", "avg") and not node.argument("ceil_mode", False):
        yield Proposal("ceil_mode=True", (_changed(subject, node, module, "ceil_mode"),), "the last pixel is kept")
    if node.op == "pad" and node.argument("mode") == "reflect":
        kind = type(module).__name__
        spec = ModuleSpec(_PADDINGS.get(kind, ""), {"padding": getattr(module, "padding", 0)})
        edit: Edit = SetArgument(site_of(subject.graph, node.index), "mode", "replicate")
        edit = ReplaceModule(node.module, spec) if kind in _PADDINGS else edit
        yield Proposal("repeat the border in place of mirroring it", (edit,), "a map of any size can be padded")
    if node.op in CONV and "transpose" not in node.op and isinstance(module, nn.modules.conv._ConvNd):
        padding = tuple(d * (k - 1) // 2 for d, k in zip(module.dilation, module.kernel_size, strict=True))
        if module.padding_mode == "zeros" and module.padding != padding:
            yield Proposal(
                f"{node.module}: padding={padding}",
                (SetAttributes(node.module, {"padding": padding}),),
                "the window fits and the convolution keeps the size; at other sizes the maps behind it grow",
            )


def _changed(subject: Subject, node: Node, module: nn.Module, name: str) -> Edit:
    if type(module).__module__.startswith("torch.nn.modules") and hasattr(module, name):
        return SetAttributes(node.module, {name: True})
    return SetArgument(site_of(subject.graph, node.index), name, True)
