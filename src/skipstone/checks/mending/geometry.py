"""Repairs by a layer's own settings: padding, stride, rounding, output size, so that two branches keep step."""

from collections.abc import Iterator

from skipstone.checks.mending.operands import Operands
from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetAttributes
from skipstone.core.graph import Node
from skipstone.graphs.roles import CONV, POOL
from skipstone.tracing.torch_internals import CONVS

_FORWARD_CONV = frozenset(op for op in CONV if "transpose" not in op)


def same_rounding(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """The same rounding on both branches, by `ceil_mode` of a pooling module."""
    if not met.are_close:
        return
    for pool in _layers(subject, met, POOL - {"lp_pool1d", "lp_pool2d", "lp_pool3d"}):
        if pool.op.startswith("adaptive") or "ceil_mode" not in dir(subject.module_at(pool.module)):
            continue
        up = not pool.argument("ceil_mode", False)
        info = subject.graph.modules[pool.module]
        yield Proposal(
            f"{info.type} {pool.module}: ceil_mode={up}",
            (SetAttributes(pool.module, {"ceil_mode": up}),),
            f"both branches round {'up' if up else 'down'} alike",
        )


def same_size(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """Padding for the convolutions of a branch that loses its border, so that the size stays or is halved alone."""
    edits, names = [], []
    for node in _layers(subject, met, _FORWARD_CONV):
        conv = subject.module_at(node.module)
        if not isinstance(conv, CONVS) or isinstance(conv.padding, str):
            continue
        full = tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
        if any(k % 2 == 0 for k in conv.kernel_size) or all(p >= f for p, f in zip(conv.padding, full, strict=True)):
            continue
        if not subject.ancestry.leads_to(node.index, met.node.inputs[met.stream]) and node.module not in names:
            edits.append(SetAttributes(node.module, {"padding": full}))
            names.append(node.module)
    if edits:
        what = f"{', '.join(reversed(names[:3]))}{' ...' if len(names) > 3 else ''}: padding that keeps the size"
        yield Proposal(what, tuple(edits), "the branch keeps its border, every size becomes legal")


def same_growth(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """The rows and columns by which a transposed convolution misses its stride, given back by its `output_padding`.

    Only where it runs at the size of the fork: behind layers that rounded, other sizes of the input lack none.
    """
    for node in _layers(subject, met, CONV - _FORWARD_CONV):
        conv = subject.module_at(node.module)
        operand = next((k for k, i in enumerate(met.node.inputs) if subject.ancestry.leads_to(node.index, i)), None)
        if operand is None or not isinstance(conv, CONVS) or node.shape[2:] != met.shapes[operand][2:]:
            continue
        if subject.graph[node.inputs[0]].shape[2:] != met.fork_sizes:
            continue
        wanted = max((met.sizes(k) for k in range(len(met.shapes))), default=())
        lacking = tuple(a - b for a, b in zip(wanted, met.sizes(operand), strict=True))
        padding = tuple(p + more for p, more in zip(conv.output_padding, lacking, strict=False))
        exact = tuple(size * s for size, s in zip(met.fork_sizes, conv.stride, strict=False)) == wanted
        fits = all(0 <= p < max(s, d) for p, s, d in zip(padding, conv.stride, conv.dilation, strict=True))
        if any(lacking) and len(lacking) == len(padding) and fits and exact:
            title = f"{subject.graph.modules[node.module].type} {node.module}: output_padding={padding}"
            edit = SetAttributes(node.module, {"output_padding": padding})
            yield Proposal(title, (edit,), "the map grows by exactly its stride")


def no_stride(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """A branch of convolutions that keeps the size of the stream it is added to, at every size."""
    names = []
    for node in _layers(subject, met, _FORWARD_CONV):
        conv = subject.module_at(node.module)
        if not isinstance(conv, CONVS) or conv.padding_mode != "zeros":
            return
        if not subject.ancestry.leads_to(node.index, met.node.inputs[met.short]) and node.module not in names:
            names.append(node.module)
    if names:
        convs = [subject.module_at(name) for name in names]
        edits = tuple(
            SetAttributes(name, {"stride": (1,) * len(conv.kernel_size), "padding": "same"})
            for name, conv in zip(names, convs, strict=True)
            if isinstance(conv, CONVS)
        )
        what = f"{', '.join(reversed(names[:3]))}{' ...' if len(names) > 3 else ''}: stride 1 and padding 'same'"
        yield Proposal(what, edits, "the branch keeps the stream's size, every size becomes legal")


def same_stride(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """Another stride for the shortcut's own convolution: one that gives the branch's size exactly."""
    graph, main, short = subject.graph, met.node.inputs[met.main], met.node.inputs[met.short]
    conv = next((n for n in _layers(subject, met, _FORWARD_CONV) if _leads_only(subject, n, short, main)), None)
    if conv is None or graph[main].shape[1] != graph[short].shape[1]:
        return
    source, wanted = graph[conv.inputs[0]].shape[2:], graph[main].shape[2:]
    kernel = graph[conv.inputs[1]].shape[2:]
    padding = per_axis(conv.argument("padding", 0), len(kernel))
    if padding is None or len(source) != len(wanted):
        return
    strides = [_stride(h, t, k, p) for h, t, k, p in zip(source, wanted, kernel, padding, strict=True)]
    if None not in strides:
        title = f"{graph.modules[conv.module].type} {conv.module}: stride={tuple(strides)}"
        edit = SetAttributes(conv.module, {"stride": tuple(strides)})
        yield Proposal(title, (edit,), "the shortcut shrinks as the branch does")


def per_axis(value: object, axes: int) -> tuple[int, ...] | None:
    """A setting as one number for each axis; None where it is something else."""
    if isinstance(value, int):
        return (value,) * axes
    if isinstance(value, tuple | list) and all(isinstance(v, int) for v in value):
        return tuple(value) * (axes if len(value) == 1 else 1)
    return None


def _layers(subject: Subject, met: Operands, ops: frozenset[str]) -> Iterator[Node]:
    """Operations of given kinds run by torch's own modules on either branch, latest first."""
    graph, ancestry = subject.graph, subject.ancestry
    for index in range(met.node.index - 1, max(met.fork, 0), -1):
        node = graph[index]
        on_branch = any(ancestry.leads_to(index, operand) for operand in met.node.inputs)
        info = graph.modules.get(node.module)
        if node.op in ops and on_branch and info is not None and info.module.startswith("torch.nn.modules"):
            yield node


def _leads_only(subject: Subject, node: Node, short: int, main: int) -> bool:
    return subject.ancestry.leads_to(node.index, short) and not subject.ancestry.leads_to(node.index, main)


def _stride(size: int, wanted: int, kernel: int, padding: int) -> int | None:
    spare = size + 2 * padding - kernel
    found = [s for s in range(1, max(2, size + 1)) if spare >= 0 and spare // s + 1 == wanted]
    return min(found) if found else None
