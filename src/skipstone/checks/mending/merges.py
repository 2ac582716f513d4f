"""Repairs of a merge whose operands cannot meet: round alike, reconcile the shortcut, fit one size to the other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from skipstone.blocks.parts.steps import code
from skipstone.checks.rule import Fault, Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, SetAttributes, Site, Transform, TransformKind
from skipstone.core.graph import Graph, Node
from skipstone.graphs.roles import CONV, POOL
from skipstone.shapes.arithmetic import FloorMap
from skipstone.shapes.reconcile import Plan, SizeError, reconcile
from skipstone.surgery import site_of

_MAX_PLANS = 5


def mismatch(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """For two operands everything; for more, the sizes of those that differ from the first are fitted to it."""
    node = subject.graph[fault.where.node]
    main, short = _ends(subject, node)
    yield from _equal_rounding(subject, node)
    yield from _equal_stride(subject, node, main, short)
    if len(set(node.inputs)) > 2 or node.op == "cat":
        yield from _fit_all(subject, node)
        return
    close = _close(subject, node)
    if close:
        yield from _fit_all(subject, node)
    yield from reconciled(subject, node, main, short)
    yield from _linear(subject, node, main, short)
    if not close:
        yield from _fit_all(subject, node)


def _ends(subject: Subject, node: Node) -> tuple[int, int]:
    """The main and the short operand's positions among the call's tensors."""
    for skip in subject.skips:
        if skip.merge_node == node.index:
            return node.inputs.index(skip.main_operand), node.inputs.index(skip.short_operand)
    first, second = node.inputs[0], node.inputs[1]
    layers = subject.ancestry.ancestors
    return (0, 1) if layers[first].bit_count() >= layers[second].bit_count() else (1, 0)


def _close(subject: Subject, node: Node) -> bool:
    """Do the sizes differ by rounding alone, less than by half?"""
    sizes = [subject.graph[i].shape[2:] for i in node.inputs]
    pairs = list(zip(*sizes, strict=False))
    return bool(pairs) and all(max(pair) < 1.5 * min(pair) for pair in pairs)


def _modules_on_branches(subject: Subject, merge: Node, ops: frozenset[str]) -> Iterator[Node]:
    """Operations of given kinds run by torch's own modules on either branch, latest first."""
    graph, ancestry = subject.graph, subject.ancestry
    fork = merge.inputs[0]
    for index in merge.inputs[1:]:
        fork = ancestry.common(fork, index) if fork >= 0 else -1
    for index in range(merge.index - 1, max(fork, 0), -1):
        node = graph[index]
        on_branch = any(ancestry.leads_to(index, operand) for operand in merge.inputs)
        info = graph.modules.get(node.module)
        if node.op in ops and on_branch and info is not None and info.module.startswith("torch.nn.modules"):
            yield node


def _equal_rounding(subject: Subject, node: Node) -> Iterator[Proposal]:
    """The same rounding on both branches, by `ceil_mode` of a pooling module."""
    for pool in _modules_on_branches(subject, node, POOL - {"lp_pool1d", "lp_pool2d", "lp_pool3d"}):
        if pool.op.startswith("adaptive") or "ceil_mode" not in dir(subject.model.get_submodule(pool.module)):
            continue
        up = not pool.argument("ceil_mode", False)
        info = subject.graph.modules[pool.module]
        yield Proposal(
            f"{info.type} {pool.module}: ceil_mode={up}",
            (SetAttributes(pool.module, {"ceil_mode": up}),),
            f"both branches round {'up' if up else 'down'} alike",
        )


def _equal_stride(subject: Subject, node: Node, main: int, short: int) -> Iterator[Proposal]:
    """Another stride for the shortcut's own convolution: one that gives the branch's size exactly."""
    graph = subject.graph
    layers = list(_modules_on_branches(subject, node, frozenset(op for op in CONV if "transpose" not in op)))
    conv = next((n for n in layers if _leads_only(subject, n, node.inputs[short], node.inputs[main])), None)
    if conv is None or graph[node.inputs[main]].shape[1] != graph[node.inputs[short]].shape[1]:
        return
    source, wanted = graph[conv.inputs[0]].shape[2:], graph[node.inputs[main]].shape[2:]
    kernel = graph[conv.inputs[1]].shape[2:]
    padding = _per_axis(conv.argument("padding", 0), len(kernel))
    if padding is None or len(source) != len(wanted):
        return
    strides = [_stride(h, t, k, p) for h, t, k, p in zip(source, wanted, kernel, padding, strict=True)]
    if None not in strides:
        info = graph.modules[conv.module]
        title = f"{info.type} {conv.module}: stride={tuple(strides)}"
        yield Proposal(
            title, (SetAttributes(conv.module, {"stride": tuple(strides)}),), "the shortcut shrinks as the branch does"
        )


def _leads_only(subject: Subject, node: Node, short: int, main: int) -> bool:
    return subject.ancestry.leads_to(node.index, short) and not subject.ancestry.leads_to(node.index, main)


def _stride(size: int, wanted: int, kernel: int, padding: int) -> int | None:
    spare = size + 2 * padding - kernel
    found = [s for s in range(1, max(2, size + 1)) if spare >= 0 and spare // s + 1 == wanted]
    return min(found) if found else None


def _per_axis(value: object, axes: int) -> tuple[int, ...] | None:
    if isinstance(value, int):
        return (value,) * axes
    if isinstance(value, tuple | list) and all(isinstance(v, int) for v in value):
        return tuple(value) * (axes if len(value) == 1 else 1)
    return None


def _fit_all(subject: Subject, node: Node) -> Iterator[Proposal]:
    """Pad, crop, interpolate or expand the operands that differ, at whatever size they come."""
    graph = subject.graph
    shapes = [graph[i].shape for i in node.inputs]
    if len({len(shape) for shape in shapes}) != 1:
        return
    features = subject.layout.feature_axis(node.inputs[0])
    sizes = [tuple(s for axis, s in enumerate(shape) if axis not in (0, features)) for shape in shapes]
    if len(set(sizes)) == 1 or (node.op != "cat" and features is not None and len({s[features] for s in shapes}) > 1):
        return
    like = next(
        (
            k
            for k in reversed(range(len(sizes)))
            if all(a >= b for other in sizes for a, b in zip(sizes[k], other, strict=True))
        ),
        len(sizes) - 1,
    )
    least = min(range(len(sizes)), key=lambda k: sizes[k])
    single = any(all(s == 1 for s in size) for size in sizes)
    kinds: list[tuple[TransformKind, int, str]] = [
        ("pad-like", like, "zeros fill the missing border"),
        ("crop-like", least, "the border that has no partner is cut off"),
        ("interpolate-like", like, "the smaller map is resampled to the larger one's size"),
    ]
    if single:
        kinds.insert(0, ("expand-like", like, "the pooled map is repeated over the other's size"))
    axes = tuple(a for a in range(1, len(shapes[0])) if a != features and len({shape[a] for shape in shapes}) > 1)
    arguments = {"axes": axes} if axes != tuple(range(2, len(shapes[0]))) else {}
    for kind, target, effect in kinds:
        edits = tuple(
            MapOperand(_every_run(subject, node), k, Transform(kind, like=target, arguments=arguments))
            for k in range(len(shapes))
            if sizes[k] != sizes[target]
        )
        names = {"pad-like": "pad", "crop-like": "crop", "interpolate-like": "interpolate", "expand-like": "expand"}
        yield Proposal(f"{names[kind]} to the other operand's size", edits, effect, keeps_output=True)


def _every_run(subject: Subject, node: Node) -> Site:
    return replace(site_of(subject.graph, node.index), occurrence=None)


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
    site = site_of(graph, node.index)
    for plan in plans[:_MAX_PLANS]:
        yield Proposal(
            f"{plan.name.replace('_', ' ')}{f': {text}' if (text := code(plan)) else ''} on the shortcut",
            (MapOperand(site, short, Transform("module", _spec(plan))),),
            "follows the branch at every size" if plan.every_size else "made for this input size",
        )


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
        sizes = _per_axis(node.argument("kernel_size"), axes)
        kernel = sizes or ()
    else:
        return [FloorMap()] * axes if graph[node.inputs[0]].shape[2:] == node.shape[2:] else None
    default = kernel if node.op in POOL else 1
    stride = _per_axis(node.argument("stride") or default, axes)
    padding = _per_axis(node.argument("padding", 0), axes)
    dilation = _per_axis(node.argument("dilation", 1), axes)
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
    """A linear projection where features come last."""
    graph = subject.graph
    source, target = graph[node.inputs[short]].shape, graph[node.inputs[main]].shape
    last = len(source) - 1
    if len(source) < 3 or subject.layout.feature_axis(node.inputs[short]) != last or source[:-1] != target[:-1]:
        return
    spec = ModuleSpec("Linear", {"in_features": source[-1], "out_features": target[-1]})
    edit = MapOperand(site_of(graph, node.index), short, Transform("module", spec))
    yield Proposal(f"{spec} on the shortcut", (edit,), "a learned projection of the features")
