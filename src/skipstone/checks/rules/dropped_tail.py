"""Dropped tail: windows do not cover the whole sequence or map, and its end is lost.

What it finds:
    A `fold` whose windows leave the last rows or columns at zero; a slice to a multiple of the window's length, or an
    `unfold` in steps of its own length, that leaves the last positions out of every window. The positions that a
    convolution's own padding has added are nobody's: a causal one cuts them off again.
Why it matters:
    It runs, and the values at the border take no part: whatever they hold, the result is the same.
Example:
    `x[:, : T // w * w].reshape(-1, w, C)` of 45 tokens in windows of 8: the last five are not seen.
Repair:
    Pad to a multiple of the window before, crop after.
Effect of the repair:
    Every position takes part; no parameters.
References:
    PyTorch documentation, torch.nn.Fold; Liu et al. 2021, Swin Transformer, 2103.14030, section 3.2 (padded windows);
    van den Oord et al. 2016, WaveNet, 1609.03499, section 2.1 (causal convolutions).
"""

from collections.abc import Iterator

from skipstone.checks.around import owner
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.graphs.operations import has_role
from skipstone.graphs.walks import back

RULE = Rule("SK220", "dropped-tail", "warning", "windows do not cover the whole sequence or map")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for node in graph:
        if node.kind != "op" or node.tainted or node.failure is not None or not subject.ancestry.active[node.index]:
            continue
        lost = _fold(node) or _unfold(graph, node) or _slice(graph, node)
        if lost is not None and not any(failure.index > node.index for failure in graph.failures):
            number, axis = lost
            where = f"axis {axis} of {shape_text(graph[node.inputs[0]].shape if node.op != 'fold' else node.shape)}"
            what = "stay zero" if node.op == "fold" else "take part in no window"
            message = f"the last {number} positions along {where} {what}"
            shapes = (graph[node.inputs[0]].shape, node.shape)
            yield Fault(at(node, module=owner(graph, node)), message, shapes)


def _pair(value: object, default: int) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if isinstance(value, tuple | list) and len(value) == 2:
        return int(value[0]), int(value[1])
    return default, default


def _fold(node: Node) -> tuple[int, int] | None:
    """The rows or columns of a fold's result that no window reaches."""
    if node.op != "fold" or len(node.shape) < 3:
        return None
    kernel, stride = _pair(node.argument("kernel_size"), 0), _pair(node.argument("stride"), 1)
    padding, dilation = _pair(node.argument("padding"), 0), _pair(node.argument("dilation"), 1)
    if 0 in kernel:
        return None
    for i in (0, 1):
        axis = len(node.shape) - 2 + i
        size, reach = node.shape[axis], dilation[i] * (kernel[i] - 1) + 1
        steps = (size + 2 * padding[i] - reach) // stride[i]
        lost = size - (steps * stride[i] + reach - padding[i])
        if lost > 0:
            return lost, axis
    return None


def _unfold(graph: Graph, node: Node) -> tuple[int, int] | None:
    """The positions behind the last of windows that touch but do not overlap."""
    if node.op != "unfold" or not isinstance(node.arguments.get("step"), int):
        return None
    dim, size, step = node.argument("dimension"), node.argument("size"), node.argument("step")
    if not isinstance(dim, int) or size != step or not isinstance(step, int):
        return None
    source = graph[node.inputs[0]].shape
    lost = source[dim % len(source)] % step
    return (lost, dim % len(source)) if lost else None


def _slice(graph: Graph, node: Node) -> tuple[int, int] | None:
    """The positions cut off to make an axis a multiple of the window into which the next view splits it."""
    source = graph[node.inputs[0]].shape if node.inputs else ()
    if node.op != "getitem" or len(source) != len(node.shape):
        return None
    cut = [axis for axis in range(1, len(source)) if source[axis] != node.shape[axis]]
    if len(cut) != 1 or not _starts_at_zero(node):
        return None
    axis = cut[0]
    lost = source[axis] - node.shape[axis]
    users = [graph[i] for i in graph.users[node.index]]
    # Another slice may take the tail, a last window shorter than the rest; no network of the zoo hangs on this.
    others = [i for i in graph.users[node.inputs[0]] if graph[i].op == "getitem" and i != node.index]
    windowed = bool(users) and all(_windows(node.shape, user, axis, lost) for user in users)
    return (lost, axis) if windowed and not others and not _was_padded(graph, node, axis) else None


def _was_padded(graph: Graph, node: Node, axis: int) -> bool:
    """Does the slice cut off what padding has added before: a causal convolution (WaveNet, 1609.03499, section 2.1)?"""
    made = graph[back(graph, node.inputs[0], lambda node: has_role(node, "pointwise", "norm", "rectifier"))]
    if not has_role(made, "conv") and made.op != "pad":
        return False
    before = graph[made.inputs[0]].shape
    return len(before) == len(node.shape) and before[axis] == node.shape[axis]


def _starts_at_zero(node: Node) -> bool:
    index = node.arguments.get("index")
    items = index if isinstance(index, tuple) else (index,)
    slices = [item for item in items if isinstance(item, slice)]
    return bool(slices) and all(item.start in (None, 0) and item.step in (None, 1) for item in slices)


def _windows(shape: tuple[int, ...], user: Node, axis: int, lost: int) -> bool:
    """Does a view split the axis into windows longer than what was cut off, whose number times length it is?"""
    if user.op not in ("view", "reshape", "unflatten"):
        return False
    lengths = [size for size in user.shape if size > lost and size < shape[axis] and shape[axis] % size == 0]
    return bool(lengths) and shape[axis] not in user.shape[1:] and lost < max(lengths)
