"""Cut gradient: a skip connection or its branch is cut off from the gradient.

What it finds:
    A shortcut that is detached (`detach()`, `.data`, a `no_grad` region) while the branch is not, and a branch with
    trainable weights that no gradient reaches because its result is detached before the addition. Left alone are
    straight-through estimators, where the shortcut was subtracted before the cut, and a stream that is cut on every way
    (the queries that two-stage detection transformers select, 2010.04159, section 4).
Why it matters:
    The forward pass is that of a residual network, the backward pass that of a plain one; or the branch never learns.
Example:
    `return self.body(x) + x.detach()`.
Repair:
    Leave the `detach()` out.
Effect of the repair:
    The outputs stay as they are; the gradient takes both ways.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, equation 5 (the additive gradient term).
"""

from collections.abc import Iterator

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip
from skipstone.graphs.walks import sources

RULE = Rule("SK209", "cut-gradient", "warning", "a skip connection or its branch is cut off from the gradient")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    if not any(graph[i].requires_grad for i in graph.outputs):
        return  # inference alone (a frozen backbone): nothing here is meant to learn
    reached = {parameter.name: parameter.reached for parameter in graph.parameters}
    for skip in subject.skips:
        if not skip.is_block_skip or skip.merge not in ("add", "cat") or graph[skip.merge_node].tainted:
            continue
        cut = _shortcut_cut(subject, skip)
        if cut is not None:
            yield _fault(graph, skip, f"the shortcut is detached{_line(graph, cut)}: no gradient takes it")
        cut = _branch_cut(subject, skip, reached)
        if cut is not None:
            yield _fault(graph, skip, f"the branch is detached{_line(graph, cut)}: its weights get no gradient")


def _shortcut_cut(subject: Subject, skip: Skip) -> int | None:
    """Where the gradient of the shortcut alone ends, though the branch hands it on to where both come from."""
    graph, main = subject.graph, skip.main_operand
    cut = _cut(graph, skip.shortcut)
    if cut is None or not graph[main].requires_grad or subject.ancestry.leads_to(cut, main):
        return None
    handed_on = sources(graph, main, lambda node: node.requires_grad and node.op != "detach")
    source = graph[skip.source_node]
    return cut if not source.requires_grad or source in handed_on else None


def _fault(graph: Graph, skip: Skip, message: str) -> Fault:
    merge = graph[skip.merge_node]
    return Fault(at(merge), message, met(graph, merge))


def _line(graph: Graph, index: int) -> str:
    return f" at {graph[index].place}" if graph[index].place else ""


def _cut(graph: Graph, path: tuple[int, ...]) -> int | None:
    """The node on a path at which the gradient ends: a detach, or the first one computed without."""
    for index in path:
        node = graph[index]
        if node.op == "detach" or (not node.requires_grad and any(graph[i].requires_grad for i in node.inputs)):
            return index if node.spec.dtype.startswith(("float", "bfloat")) else None
    return None


def _branch_cut(subject: Subject, skip: Skip, reached: dict[str, bool]) -> int | None:
    """Where the gradient of the branch ends, if weights in it were to be trained and no other way reaches them."""
    graph, ancestry = subject.graph, subject.ancestry
    if graph[skip.main_operand].requires_grad:
        return None
    cut = next((i for i in reversed(skip.main) if graph[i].op == "detach"), None)
    if cut is None:
        cut = _computed_without(graph, skip)
    if cut is None:
        return None
    removed = graph[graph[cut].inputs[0]]
    if removed.op in ("sub", "rsub") and any(
        ancestry.strip(i) == ancestry.strip(skip.short_operand) for i in removed.inputs
    ):
        return None  # x + (q - x).detach(): the straight-through estimator
    weights = [graph[i] for node in skip.main for i in graph[node].inputs if graph[i].kind == "parameter"]
    trainable = [weight for weight in weights if weight.requires_grad]
    return cut if trainable and not any(reached.get(weight.name, True) for weight in trainable) else None


def _computed_without(graph: Graph, skip: Skip) -> int | None:
    """The first layer of an identity's branch that ran in a `no_grad` region although its weights are to be trained."""
    if skip.kind != "identity" or not graph[skip.short_operand].requires_grad:
        return None
    for index in skip.main:
        trained = any(graph[i].kind == "parameter" and graph[i].requires_grad for i in graph[index].inputs)
        if trained and not graph[index].requires_grad:
            return index
    return None
