"""Too small: a map is smaller than the window, padding or pooling laid on it.

What it finds:
    A convolution, pooling, unfolding or padding whose window does not fit into the map that reaches it.
Why it matters:
    Every halving on the way takes its toll: small inputs vanish before the last stage.
Example:
    A 2x2 pool of a 1x1 map; a reflection padding of 1 on a map of one pixel.
Repair:
    A larger input, or fewer reductions before. Else a pool with `ceil_mode=True`, a border that is repeated and not
    mirrored, a convolution with padding.
Effect of the repair:
    Fewer reductions leave larger maps: more multiply-adds behind them. The others make this input legal; a convolution
    with padding changes the sizes at every other one, too.
References:
    PyTorch documentation, Conv2d and MaxPool2d, "Shape".
"""

from collections.abc import Iterator

from torch import nn

from skipstone.checks.failures import failing, operands
from skipstone.checks.ledger import label
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import Edit, ModuleSpec, ReplaceModule, SetArgument, SetAttributes
from skipstone.core.graph import Node, shape_text
from skipstone.graphs.roles import CONV, POOL
from skipstone.surgery import site_of
from skipstone.tracing.torch_internals import CONVS

RULE = Rule(
    "SK107",
    "too-small",
    "error",
    "a map is smaller than the window, padding or pooling laid on it",
    depends_on_size=True,
)
_PADDINGS = {f"ReflectionPad{n}d": f"ReplicationPad{n}d" for n in (1, 2, 3)}


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for node in failing(subject, "too-small"):
        source = graph[node.inputs[0]].shape
        yield Fault(at(node), f"{shape_text(source)} is too small for {label(graph, node)}", operands(node))


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """A pool that keeps its last pixel, a border that is repeated and not mirrored, a convolution with padding."""
    node = subject.graph[fault.where.node]
    module = subject.module_at(node.module)
    if node.op in POOL and node.op[:3] in ("max", "avg") and not node.argument("ceil_mode", False):
        yield Proposal("ceil_mode=True", (_changed(subject, node, module, "ceil_mode"),), "the last pixel is kept")
    if node.op == "pad" and node.argument("mode") == "reflect":
        kind = type(module).__name__
        spec = ModuleSpec(_PADDINGS.get(kind, ""), {"padding": getattr(module, "padding", 0)})
        edit: Edit = SetArgument(site_of(subject.graph, node.index), "mode", "replicate")
        edit = ReplaceModule(node.module, spec) if kind in _PADDINGS else edit
        yield Proposal("repeat the border in place of mirroring it", (edit,), "a map of any size can be padded")
    if node.op in CONV and "transpose" not in node.op and isinstance(module, CONVS):
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
