"""Unregistered: trainable weights run that the model does not know.

What it finds:
    Modules and parameters that are kept in a plain list, dict or tuple, in a default argument or outside of the model,
    and layers that `forward` makes anew in each call. Gradients reach them, and `parameters()` does not list them.
Why it matters:
    No optimizer trains them, no checkpoint holds them, and `.to(device)` leaves them behind.
Example:
    `self.blocks = [Block() for _ in range(4)]`.
Repair:
    None is proposed: `nn.ModuleList`, `nn.ModuleDict` or `nn.ParameterList`, made in `__init__`.
Effect of the repair:
    The same function; its weights are trained and saved.
References:
    PyTorch documentation, torch.nn.ModuleList.
"""

from collections.abc import Iterable, Iterator, Mapping

from torch import nn

from skipstone.checks.around import owner, recorded
from skipstone.checks.rule import Fault, Rule, Where, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.execution import Step, Stream, Witness
from skipstone.graphs.operations import has_role

RULE = Rule("SK405", "unregistered", "warning", "trainable weights run that the model does not know")

_PLAIN = (list, tuple, set, dict)
_DEPTH = 3


def check(subject: Subject) -> Iterator[Fault]:
    if subject.witness is not None and subject.witness.own.ran:
        yield from _of_run(subject, subject.witness)
    elif subject.witness is None:
        yield from _of_record(subject)


def _of_run(subject: Subject, witness: Witness) -> Iterator[Fault]:
    leaves = witness.own.leaves
    known = witness.own.clone.names.keys() | witness.own.registered
    if not any(isinstance(leaf, nn.Parameter) and id(leaf) not in known for leaf in leaves):
        return
    stream = Stream()
    again = witness.run(backward=True, see=stream.see)
    by_module: dict[str, list[Step]] = {}
    for step in stream.steps:
        if any(tensor.requires_grad for tensor in step.strangers):
            by_module.setdefault(step.module, []).append(step)
    for module, steps in by_module.items():
        tensors = [tensor for step in steps for tensor in step.strangers]
        kept = any(again.clone.owns(tensor) or any(tensor is leaf for leaf in leaves) for tensor in tensors)
        yield _fault(subject, module, steps, anew=not kept)


def _fault(subject: Subject, module: str, steps: list[Step], *, anew: bool) -> Fault:
    graph, first = subject.graph, steps[0]
    node = recorded(graph, first.op, first.module, first.time, first.place)
    count = len({id(tensor) for step in steps for tensor in step.strangers})
    path = owner(graph, node) if node is not None else module
    holder = subject.module_at(path)
    place = first.place
    if anew:
        message = f"{type(holder).__name__} makes {_weights(count)} anew in each call: nothing ever trains them"
    else:
        message = f"{_weights(count)} of {type(holder).__name__} run and are not registered{_kept_in(holder)}"
    return Fault(Where(node.index if node is not None else len(graph) - 1, path, place), message)


def _weights(count: int) -> str:
    return f"{count} trainable weight{'s' * (count > 1)}"


def _kept_in(holder: nn.Module) -> str:
    """The plain container of the module that holds modules or parameters, in words."""
    for name, value in vars(holder).items():
        if not name.startswith("_") and isinstance(value, _PLAIN) and _holds(value, _DEPTH):
            kind = type(value).__name__
            better = "nn.ModuleDict" if isinstance(value, dict) else "nn.ModuleList"
            return f": self.{name} is a plain {kind}; make it an {better}"
    return ""


def _holds(value: object, depth: int) -> bool:
    if isinstance(value, nn.Module | nn.Parameter):
        return True
    items: Iterable[object] = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, _PLAIN) else ()
    )
    return depth > 0 and any(_holds(item, depth - 1) for item in items)


def _of_record(subject: Subject) -> Iterator[Fault]:
    """Without a run: constants with a gradient that stand where layers have their weights."""
    graph, told = subject.graph, set()
    for node in graph:
        weights = [i for i in node.inputs if graph[i].kind == "constant" and graph[i].requires_grad]
        path = owner(graph, node)
        if weights and node.requires_grad and has_role(node, "layer", "norm") and path not in told:
            told.add(path)
            yield _unrun(subject, graph, node, path)


def _unrun(subject: Subject, graph: Graph, node: Node, path: str) -> Fault:
    constants = {
        i for other in graph if owner(graph, other) == path and has_role(other, "layer", "norm") for i in other.inputs
    }
    count = sum(graph[i].kind == "constant" and graph[i].requires_grad for i in constants)
    holder = subject.module_at(path)
    message = f"{_weights(count)} of {type(holder).__name__} run and are not registered{_kept_in(holder)}"
    return Fault(at(node, module=path), message)
