"""Refused in the run: the record of shapes found nothing, and torch refuses when the network is really run.

What it finds:
    What only real kernels and values show: tensors of two precisions in one layer, an `output_padding` that is not
    smaller than the stride, a constant index past the end, an unpooling whose indices point outside the map, a backward
    pass that autograd or a function's own `backward` refuses.
Why it matters:
    The network does not run, or cannot be trained, on this input.
Example:
    Positions made with numpy are float64; added to the features they make the next linear layer refuse.
Repair:
    For a layer of another number format its input cast to that of its weights; for an output padding that is too large
    the stride that it belongs to; for an unpooling the size of the map before its pooling. Else torch's own words are
    given.
Effect of the repair:
    A cast rounds to the narrower format; a stride makes the map grow.
References:
    The operation's page in the PyTorch documentation.
"""

from collections.abc import Iterator

from skipstone.checks.around import recorded
from skipstone.checks.mending import unpooling
from skipstone.checks.mending.formats import accepted
from skipstone.checks.rule import Fault, Proposal, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.finding import Shape
from skipstone.core.graph import Graph, Node
from skipstone.execution import Raised, Witness, is_of_values, is_out_of_range
from skipstone.sizes.unseen import reach
from skipstone.tracing.objects import NoCopyError

RULE = Rule("SK401", "refused-in-run", "error", "torch refuses in a real run what the record of shapes allowed")

_LONGEST = 300


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    raised = witness.own.raised if witness is not None else None
    if witness is None or raised is None or _is_told(subject.graph, raised):
        return
    if raised.error == NoCopyError.__name__:
        # A network that reads from an iterator it holds can't be run twice, and nothing is known to be wrong with it.
        return
    node = _node(subject.graph, raised)
    if not witness.inputs_given and _is_of_values(subject, raised, node):
        return
    where = Where(node.index if node is not None else len(subject.graph) - 1, raised.module, raised.place)
    met = tuple(subject.graph[i].shape for i in node.inputs) if node is not None else _met(witness, raised)
    yield Fault(where, _message(raised), met[:2])


def _met(witness: Witness, raised: Raised) -> tuple[Shape, ...]:
    """The shapes that met in a run of the size asked for, where the record has none: quantized tensors."""
    return raised.operands if witness.plan.as_asked and raised.stage == "forward" else ()


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    node = subject.graph[fault.where.node]
    return unpooling.sized(subject) if node.op in unpooling.UNPOOL else accepted(subject, fault)


def _message(raised: Raised) -> str:
    text = raised.message if len(raised.message) <= _LONGEST else f"{raised.message[:_LONGEST]} …"
    who = f"{raised.op}: " if raised.op else f"{raised.error}: "
    return f"{who}{text}" if raised.stage == "forward" else f"the backward pass stops at {who}{text}"


def _is_told(graph: Graph, raised: Raised) -> bool:
    """Does the record tell of a fault at this place or before it? What follows a fault is not told twice."""
    if raised.stage == "backward":
        return bool(graph.refusals or graph.failures or graph.stopped)
    node = _node(graph, raised)
    past = next((other.index for other in graph if _runs_past(graph, other)), None)
    first = min((i for i in (past, graph.failures[0].index if graph.failures else None) if i is not None), default=None)
    if first is not None:
        return node is None or node.index >= first
    stop = graph.stopped
    return stop is not None and (stop.own or stop.refused) and not graph.assumptions


def _runs_past(graph: Graph, node: Node) -> bool:
    found = reach(graph.nodes, node)
    return found is not None and bool(found.below or found.beyond)


def _node(graph: Graph, raised: Raised) -> Node | None:
    return recorded(graph, raised.op, raised.module, raised.time, raised.place) if raised.op else None


def _is_of_values(subject: Subject, raised: Raised, node: Node | None) -> bool:
    """May the network run on other values of the same shapes than those drawn here?"""
    if not raised.op:
        return bool(subject.graph.assumptions)  # it looks at values, and may well have raised because of them
    if is_out_of_range(raised):
        return node is None or any(subject.ancestry.active[i] and _is_index(subject.graph, i) for i in node.inputs)
    return is_of_values(raised)


def _is_index(graph: Graph, index: int) -> bool:
    return graph[index].spec.dtype in ("int64", "int32", "uint8", "int16")
