"""Shared module: one module stands where two were meant.

What it finds:
    A module with weights called from two places of one forward, on its own output behind other work, where the code
    itself shows that two were meant: its twin of the same make is never called; the two calls see maps of different
    sizes, as levels do; or it is a norm whose neighbours are not shared along with it. A loop calls from one place:
    weight-tied blocks, recurrent steps, shared heads and siamese towers are left alone, but for a batch norm that a
    loop runs behind another layer in each turn.
Why it matters:
    Two levels learn one set of weights, and a shared batch norm mixes the statistics of both places.
Example:
    `p2 = self.block2(p1); p3 = self.block2(p2)`, where `self.block3` was meant.
Repair:
    A module of its own for the second place.
Effect of the repair:
    The second place's weights are new parameters; a trained model needs training again.
References:
    Ioffe and Szegedy 2015, Batch Normalization, 1502.03167, section 3.1 (statistics of one place).
"""

from collections.abc import Iterator
from itertools import pairwise

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, ModuleCall, Node, Place
from skipstone.graphs.operations import names
from skipstone.graphs.roles import CONV, LAYER, NORM, TRANSPARENT

RULE = Rule("SK214", "shared-module", "warning", "one module stands where two were meant")
_RECTIFIERS = names("rectifier")
_UNSHARED = "the layers around it are not shared along with it"


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    if graph.stopped is not None:
        return
    told: list[ModuleCall] = []
    for calls in (*_repeated(graph).values(), *_looped_norms(graph)):
        for first, second in pairwise(calls):
            reason = _reason(subject, first, second)
            if reason is None or any(_inside(graph, second, outer) for outer in told):
                continue
            told.append(second)
            yield _fault(subject, first, second, reason)
            break


def _repeated(graph: Graph) -> dict[tuple[str, int], list[ModuleCall]]:
    """The modules that one run of a forward calls from several places, once for each place.

    A loop calls from one place: layers shared by all depths (ALBERT, 1909.11942).
    """
    found: dict[tuple[str, int], list[ModuleCall]] = {}
    for call in graph.calls:
        if call.completed and call.inputs and call.outputs and call.place is not None:
            calls = found.setdefault((call.path, call.parent), [])
            if all(call.place != other.place for other in calls):
                calls.append(call)
    return {key: calls for key, calls in found.items() if len(calls) > 1}


def _looped_norms(graph: Graph) -> Iterator[list[ModuleCall]]:
    """The calls of each batch norm by a loop in one run of a forward, where each turn has layers of its own."""
    found: dict[tuple[str, int, Place | None], list[ModuleCall]] = {}
    for call in graph.calls:
        if call.completed and call.inputs and call.outputs and graph[call.outputs[0]].op == "batch_norm":
            found.setdefault((call.path, call.parent, call.place), []).append(call)
    for calls in found.values():
        before = [_weights_before(graph, call.inputs[0]) for call in calls]
        behind = [_weights_behind(graph, call.outputs[0], TRANSPARENT | _RECTIFIERS) for call in calls]
        if len(calls) > 1 and all(before) and _are_apart(before) and _are_apart(behind):
            yield calls


def _are_apart(sets: list[set[int]]) -> bool:
    return len(set().union(*sets)) == sum(map(len, sets))


def _inside(graph: Graph, call: ModuleCall, outer: ModuleCall) -> bool:
    return outer.first <= call.first and call.last <= outer.last


def _reason(subject: Subject, first: ModuleCall, second: ModuleCall) -> str | None:
    graph, ancestry = subject.graph, subject.ancestry
    nodes = [graph[i] for i in range(second.first, second.last)]
    if not _trains(graph, nodes):
        return None
    layers = [node for node in nodes if node.op in LAYER]
    if not ancestry.leads_to(first.outputs[0], second.inputs[0]):
        # Side by side, one head serves several levels (RetinaNet, 1708.02002). Only a batch norm is surely wrong: its
        # running statistics are those of neither branch.
        mixed = not layers and any(node.op == "batch_norm" for node in nodes)
        return _UNSHARED if mixed and _own_neighbours(subject, first, second) else None
    if layers and (twin := _unused_twin(subject, first.path)) is not None:
        return f"{twin}, of the same make, is never called"
    if any(node.op in CONV for node in layers):
        places = graph[first.inputs[0]].shape[2:], graph[second.inputs[0]].shape[2:]
        if places[0] != places[1] and places[0] and places[1]:
            sizes = " and ".join("x".join(map(str, place)) for place in places)
            return f"its two places see maps of {sizes}"
    if not layers and any(node.op in NORM for node in nodes) and _own_neighbours(subject, first, second):
        return _UNSHARED
    return None


def _trains(graph: Graph, nodes: list[Node]) -> bool:
    return any(graph[i].kind == "parameter" and graph[i].requires_grad for node in nodes for i in node.inputs)


def _unused_twin(subject: Subject, path: str) -> str | None:
    """A sibling of the same class and settings, with parameters of which none was used."""
    graph = subject.graph
    ours = graph.modules[path]
    if ours.module.startswith("torch.nn") and not ours.settings:
        return None  # a container says nothing of what it holds
    shapes = _shapes(graph, path)
    parent = path.rpartition(".")[0]
    for other, info in graph.modules.items():
        if other == path or other.rpartition(".")[0] != parent:
            continue
        if (info.type, info.settings) != (ours.type, ours.settings) or _shapes(graph, other) != shapes:
            continue
        if not any(p.used for p in graph.parameters if p.name.startswith(f"{other}.")):
            return other
    return None


def _shapes(graph: Graph, path: str) -> list[tuple[int, ...]]:
    return [p.spec.shape for p in graph.parameters if p.name.startswith(f"{path}.")]


def _own_neighbours(subject: Subject, first: ModuleCall, second: ModuleCall) -> bool:
    """Is there a layer on both sides of each call of a norm, and are they different ones for either call?"""
    graph = subject.graph
    before = [_weights_before(graph, call.inputs[0]) for call in (first, second)]
    behind = [_weights_behind(graph, call.outputs[0]) for call in (first, second)]
    if before[0] and before[1] and not before[0] & before[1]:
        return True
    return bool(behind[0]) and bool(behind[1]) and not behind[0] & behind[1]


def _weights_before(graph: Graph, index: int) -> set[int]:
    """The weights of the layer that made a tensor, seen through views."""
    while graph[index].kind == "op" and graph[index].op in TRANSPARENT:
        index = graph[index].inputs[0]
    return _weights(graph, graph[index])


def _weights_behind(graph: Graph, index: int, through: frozenset[str] = TRANSPARENT) -> set[int]:
    """The weights of the layers that read a tensor, seen through views, or what else is named."""
    found: set[int] = set()
    pending, seen = list(graph.users[index]), {index}
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if graph[user].op in through:
            pending.extend(graph.users[user])
        else:
            found |= _weights(graph, graph[user])
    return found


def _weights(graph: Graph, node: Node) -> set[int]:
    return {i for i in node.inputs if graph[i].kind == "parameter"} if node.op in LAYER else set()


def _fault(subject: Subject, first: ModuleCall, second: ModuleCall, reason: str) -> Fault:
    graph, ancestry = subject.graph, subject.ancestry
    parent = graph.calls[second.parent] if second.parent >= 0 else None
    looped = first.place == second.place
    where = f"turns of a loop ({first.place})" if looped else f"places ({first.place} and {second.place})"
    message = f"{second.path} serves two {where}: {reason}"
    merges = (skip for skip in subject.skips if skip.merge in ("add", "cat") and skip.kind != "trivial")
    for skip in merges:
        merge = graph[skip.merge_node]
        near = parent is None or parent.first <= merge.index < parent.last
        if near and ancestry.leads_to(second.outputs[0], merge.index):
            return Fault(at(merge, place=second.place), message, met(graph, merge))
    shapes = tuple(graph[call.inputs[0]].shape for call in (first, second))
    node = graph[second.outputs[0]]
    return Fault(at(node, module=parent.path if parent else "", place=second.place), message, shapes)
