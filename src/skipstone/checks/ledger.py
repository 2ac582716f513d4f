"""The ledger of sizes: what each layer on both branches of a merge does to the size, and where the branches part."""

from collections.abc import Sequence
from dataclasses import replace

from skipstone.core.finding import Branch, LedgerStep
from skipstone.core.graph import Graph, Node
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.kinds import is_pointwise
from skipstone.graphs.roles import LAYER, TRANSPARENT

_SHORT = {"kernel_size": "k", "stride": "s", "padding": "p", "dilation": "d", "output_padding": "op"}
_DEFAULTS = {"padding": 0, "dilation": 1, "output_padding": 0}


def branches(graph: Graph, ancestry: Ancestry, node: Node) -> tuple[Branch, ...]:
    """One branch for each operand of a merge, from where the operands' paths part (or from the inputs)."""
    operands = list(dict.fromkeys(node.inputs))
    fork = _fork(graph, ancestry, operands)
    paths = [_path(graph, ancestry, fork, operand) for operand in operands]
    longest = max(range(len(paths)), key=lambda k: _weight(graph, ancestry, paths[k]))
    made = []
    for k, (operand, path) in enumerate(zip(operands, paths, strict=True)):
        label = "branch" if k == longest else "shortcut" if len(operands) == 2 else "operand"
        made.append(Branch(label, graph[operand].shape, _steps(graph, fork, path)))
    return _mark(made)


def _weight(graph: Graph, ancestry: Ancestry, path: Sequence[int]) -> tuple[int, int, int]:
    """What makes a path the branch: its layers, those that look beyond single places, its operations."""
    layers = [graph[i] for i in path if ancestry.layers[i]]
    return len(layers), sum(not is_pointwise(graph, layer) for layer in layers), len(path)


def _fork(graph: Graph, ancestry: Ancestry, operands: Sequence[int]) -> int:
    common = operands[0]
    for operand in operands[1:]:
        if ancestry.leads_to(operand, common):
            common = operand
        elif not ancestry.leads_to(common, operand):
            common = ancestry.common(common, operand) if ancestry.active[common] and ancestry.active[operand] else -1
        if common < 0:
            return -1
    return common


def _path(graph: Graph, ancestry: Ancestry, fork: int, operand: int) -> list[int]:
    """From after the fork to the operand, along the inputs with most layers behind them."""
    path = []
    index = operand
    while index != fork and index >= 0:
        path.append(index)
        before = [i for i in graph[index].inputs if ancestry.active[i] and (fork < 0 or ancestry.leads_to(fork, i))]
        if not before:
            break
        index = max(before)
    return path[::-1]


def _steps(graph: Graph, fork: int, path: Sequence[int]) -> tuple[LedgerStep, ...]:
    steps = []
    before = graph[fork].shape if fork >= 0 else graph[path[0]].shape if path else ()
    for group in _layers(graph, path):
        node = group[-1]
        if node.shape[1:] != before[1:] and not (node.op in TRANSPARENT and len(node.shape) == 1):
            telling = next((one for one in group if one.op in LAYER), node)
            said = rounding(before, node) if len(group) == 1 else ""
            line = graph.line_of(node.index)
            steps.append(LedgerStep(label(graph, telling), node.module, line, before, node.shape, said))
        before = node.shape
    return tuple(steps)


def _layers(graph: Graph, path: Sequence[int]) -> list[list[Node]]:
    """The path's operations; those that one call of a Keras layer makes are one step: it turns axes round its own."""
    groups: list[list[Node]] = []
    for index in path:
        node = graph[index]
        if groups and groups[-1][-1].call == node.call and _is_keras(graph, node):
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _is_keras(graph: Graph, node: Node) -> bool:
    info = graph.modules.get(node.module)
    return info is not None and info.module.startswith("keras.")


def label(graph: Graph, node: Node) -> str:
    """`a: Conv2d(k3, s2, p1)`: the module's own name and class with its geometry, or the function's."""
    geometry = ", ".join(text for name in _SHORT if (text := _geometry(graph, node, name)))
    if node.op == "interpolate":
        factor, size = node.argument("scale_factor"), node.argument("size")
        geometry = f"x{factor}" if factor else f"to {size}"
    info = graph.modules.get(node.module)
    if info is not None and node.module and info.module.startswith(("torch.nn", "keras.")):
        return f"{node.module}: {info.type}({geometry})"
    return f"{node.op}({geometry})"


def _geometry(graph: Graph, node: Node, name: str) -> str:
    value: object
    if name == "kernel_size" and node.op.startswith("conv") and len(node.inputs) > 1:
        value = graph[node.inputs[1]].shape[2:]
    else:
        value = node.argument(name)
    if isinstance(value, tuple | list) and value and all(v == value[0] for v in value):
        value = value[0]
    if value is None or value == () or value == [] or value == _DEFAULTS.get(name):
        return ""
    if name == "stride" and value == 1:
        return ""
    text = "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return _SHORT[name] + text


def rounding(before: Sequence[int], node: Node) -> str:
    """`rounds up` or `rounds down` where a stride does not divide a size."""
    stride = node.argument("stride") or node.argument("kernel_size")
    if stride is None or len(before) != len(node.shape) or node.op.startswith("conv_transpose"):
        return ""
    axes = len(node.shape) - 2
    strides = [stride] * axes if isinstance(stride, int) else list(stride)  # type: ignore[call-overload]
    said = {
        "rounds up" if after * s > size else "rounds down"
        for size, after, s in zip(before[2:], node.shape[2:], strides, strict=False)
        if isinstance(s, int) and s > 1 and size % s and after in (size // s, size // s + 1)
    }
    return " and ".join(sorted(said))


def _mark(made: Sequence[Branch]) -> tuple[Branch, ...]:
    """Mark one step: the last branch's rounding one if there is any, else the first whose size no other branch has."""
    for k in reversed(range(len(made))):
        for number, step in enumerate(made[k].steps):
            if step.rounding:
                return tuple(replace(b, parts_at=number) if j == k else b for j, b in enumerate(made))
    for k, branch in enumerate(made):
        others = {step.after[1:] for j, b in enumerate(made) if j != k for step in b.steps}
        others |= {b.shape[1:] for j, b in enumerate(made) if j != k}
        for number, step in enumerate(branch.steps):
            if step.after[1:] not in others:
                return tuple(replace(b, parts_at=number) if j == k else b for j, b in enumerate(made))
    return tuple(made)
