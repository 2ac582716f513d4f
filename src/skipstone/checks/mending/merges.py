"""Repairs of a merge whose operands cannot meet: layers that keep step, a reconciled shortcut, one size fitted."""

from collections.abc import Iterator, Sequence

from skipstone.blocks.parts.steps import code
from skipstone.checks.mending import channels_last, fitting, geometry, unpooling
from skipstone.checks.mending.geometry import per_axis
from skipstone.checks.mending.operands import Operands
from skipstone.checks.rule import Fault, Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, Transform
from skipstone.core.graph import Graph, Node
from skipstone.graphs.roles import CONV, POOL
from skipstone.shapes.arithmetic import FloorMap
from skipstone.shapes.reconcile import Plan, SizeError, reconcile
from skipstone.surgery import site_of

_NAMES = {
    "subsample": "every nth pixel",
    "option_a": "every nth pixel and zero channels",
    "option_a_both": "every nth pixel and zero channels before and behind",
}
"""Plans whose names are those of papers, in words."""
_MAX_PLANS = 5


def mismatch(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """First what keeps every size legal and the stream's own size, then what fits one operand to the other.

    For more than two operands, the sizes of those that differ are fitted. Nothing is fitted along the batch.
    """
    node = subject.graph[fault.where.node]
    met = Operands.of(subject, node)
    if len({shape[:1] for shape in met.shapes}) > 1:
        return
    if channels_last.is_keras(subject.graph):  # other layers than torch's, other axes
        yield from channels_last.projected(subject, met)
        return
    yield from geometry.same_rounding(subject, met)
    yield from geometry.same_size(subject, met)
    yield from geometry.same_growth(subject, met)
    yield from geometry.same_stride(subject, met)
    yield from unpooling.sized(subject)
    if len(set(node.inputs)) > 2 or node.op == "cat":
        yield from fitting.fitted(subject, met)
        return
    if met.are_close:
        yield from fitting.fitted(subject, met)
    yield from reconciled(subject, node, met.main, met.short)
    yield from _linear(subject, node, met.main, met.short)
    if not met.are_close:
        yield from fitting.fitted(subject, met)


def reconciled(subject: Subject, node: Node, main: int, short: int) -> Iterator[Proposal]:
    """A shortcut from the exact planner, for channels-first maps and plain features."""
    graph = subject.graph
    source, target = graph[node.inputs[short]].shape, graph[node.inputs[main]].shape
    if len(source) != len(target) or source[0] != target[0] or subject.layout.feature_axis(node.inputs[short]) != 1:
        return
    try:
        plans = reconcile(source[1:], target[1:], _size_maps(subject, node, main, short))
    except SizeError:
        return
    if plans and not plans[0].every_size:
        yield from geometry.no_stride(subject, Operands.of(subject, node))
    site = site_of(graph, node.index)
    for plan in plans[:_MAX_PLANS]:
        yield Proposal(
            f"{_name(plan)}{f': {text}' if (text := code(plan)) else ''} on the shortcut",
            (MapOperand(site, short, Transform("module", _spec(plan))),),
            "follows the branch at every size" if plan.every_size else "made for this input size",
        )


def _name(plan: Plan) -> str:
    return _NAMES.get(plan.name, plan.name.replace("_", " "))


def _spec(plan: Plan) -> ModuleSpec:
    """Torch's own layer for a lone convolution; the planner's module for everything else."""
    step = plan.steps[0]
    if len(plan.steps) == 1 and step.operation == "conv":
        width = {"in_channels": step.source[0], "out_channels": step.target[0]}
        if not step.windows:
            return ModuleSpec(
                "Linear", dict(zip(("in_features", "out_features"), width.values(), strict=True)) | {"bias": False}
            )
        geometry = {
            "kernel_size": tuple(w.kernel for w in step.windows),
            "stride": tuple(w.stride for w in step.windows),
            "padding": tuple(w.padding for w in step.windows),
        }
        return ModuleSpec(f"Conv{len(step.windows)}d", {**width, **geometry, "bias": False}, code(plan) or "")
    return ModuleSpec("skipstone.blocks.parts.steps:shortcut_between", plan.arguments, code(plan) or "")


def _size_maps(subject: Subject, node: Node, main: int, short: int) -> tuple[FloorMap | None, ...]:
    """How the branch maps sizes from the shortcut's tensor on, axis by axis, where it is windows all the way."""
    graph, ancestry = subject.graph, subject.ancestry
    source, index = node.inputs[short], node.inputs[main]
    axes = len(graph[source].shape) - 2
    maps = [FloorMap()] * axes
    path: list[Node] = []
    while index != source:
        path.append(graph[index])
        before = [i for i in graph[index].inputs if ancestry.leads_to(source, i)]
        if len(before) != 1:
            return ()
        index = before[0]
    for step in reversed(path):
        windows = _windows(graph, step, axes)
        if windows is None:
            return ()
        maps = [one.then(two) for one, two in zip(maps, windows, strict=True)]
    return tuple(maps)


def _windows(graph: Graph, node: Node, axes: int) -> Sequence[FloorMap] | None:
    if node.op in CONV and "transpose" not in node.op:
        kernel: Sequence[int] = graph[node.inputs[1]].shape[2:]
    elif node.op in POOL and not node.op.startswith("adaptive"):
        sizes = per_axis(node.argument("kernel_size"), axes)
        kernel = sizes or ()
    else:
        return [FloorMap()] * axes if graph[node.inputs[0]].shape[2:] == node.shape[2:] else None
    default = kernel if node.op in POOL else 1
    stride = per_axis(node.argument("stride") or default, axes)
    padding = per_axis(node.argument("padding", 0), axes)
    dilation = per_axis(node.argument("dilation", 1), axes)
    if (
        stride is None
        or padding is None
        or dilation != (1,) * axes
        or len(kernel) != axes
        or node.argument("ceil_mode")
    ):
        return None
    return [FloorMap.conv(k, s, p) for k, s, p in zip(kernel, stride, padding, strict=True)]


def _linear(subject: Subject, node: Node, main: int, short: int) -> Iterator[Proposal]:
    """A linear projection where features come last: of the shortcut, or of the branch back to the stream's width."""
    graph = subject.graph
    source, target = graph[node.inputs[short]].shape, graph[node.inputs[main]].shape
    last = len(source) - 1
    if len(source) < 3 or subject.layout.feature_axis(node.inputs[short]) != last or source[:-1] != target[:-1]:
        return
    for operand, name, wide, wanted in (
        (short, "shortcut", source[-1], target[-1]),
        (main, "branch", target[-1], source[-1]),
    ):
        spec = ModuleSpec("Linear", {"in_features": wide, "out_features": wanted})
        edit = MapOperand(site_of(graph, node.index), operand, Transform("module", spec))
        yield Proposal(f"{spec} on the {name}", (edit,), "a learned projection of the features")
