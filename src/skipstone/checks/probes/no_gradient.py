"""No gradient: a trainable parameter changes the output, and no gradient reaches it.

What it finds:
    A parameter that requires a gradient, whose value the output really depends on, and which has none behind a real
    backward pass: a reentrant checkpoint whose input requires no gradient (the image), a `detach()` or `.data` in a
    helper, a detour through numpy, a step such as `argmax` or `>` with no way around it, a Python number that is taken
    of a tensor (`.item()`). What `forward` itself detaches or runs under `no_grad` is meant and left alone; a skip
    connection or branch that is cut is SK209.
Why it matters:
    It stays as it was initialised; the network trains around it.
Example:
    `checkpoint(self.stem, image, use_reentrant=True)`.
Repair:
    None is proposed: where the gradient ends is named.
Effect of the repair:
    None.
References:
    PyTorch documentation, torch.utils.checkpoint, "use_reentrant".
"""

from collections.abc import Iterator

import torch

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.rules import cut_gradient
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, Place
from skipstone.execution import Witness, execute
from skipstone.execution.copying import copied
from skipstone.graphs.operations import has_role, words

RULE = Rule("SK404", "no-gradient", "warning", "a trainable parameter changes the output, and no gradient reaches it")

# Steps have no slope: no gradient passes, whatever is behind them.
_STEPS = words("argmax argmin gt ge lt le eq ne bool long int")
_STEP = 0.5  # how far parameters are moved to see whether the output does


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not subject.model.training or not witness.own.ran or not witness.own.learns:
        return
    without = [n for n, p in witness.own.clone.model.named_parameters() if p.requires_grad and p.grad is None]
    read = witness.own.read  # without what stochastic depth left out of this very pass
    without = [name for name in without if name in read]
    if not without or any(True for _ in cut_gradient.check(subject)):
        return
    checkpointed = [name for name in without if read[name]]
    if checkpointed:
        if _matter(witness, checkpointed):
            yield _fault(subject, checkpointed, None, "the checkpoint around it hands none back")
        return
    cuts = {name: _cuts(subject, name) for name in without}
    told = [name for name, found in cuts.items() if found and not any(_is_meant(subject, cut) for cut in found)]
    numbers = [name for name, found in cuts.items() if not found]
    if told and _matter(witness, told):
        first = cuts[told[0]][0]
        yield _fault(subject, told, first, f"it ends at {first.op}")
    elif numbers and (number := _number(subject.graph)) is not None and _matter(witness, numbers):
        yield _fault(subject, numbers, None, "a Python number is taken of what it makes", number)


def _cuts(subject: Subject, name: str) -> list[Node]:
    """The operations on the ways from a parameter to the output behind which there is no gradient, nearest first."""
    graph = subject.graph
    start = next((node.index for node in graph if node.kind == "parameter" and node.name == name), None)
    pending = [] if start is None else [start]
    seen, found = set(pending), []
    while pending:
        for user in graph.users[pending.pop(0)]:
            node = graph[user]
            if user in seen or (has_role(node, "shape only") and node.op not in _STEPS):
                continue
            seen.add(user)
            if node.requires_grad:
                pending.append(user)
            else:
                found.append(node)
    return found


def _number(graph: Graph) -> Place | None:
    """Where a number that depends on data leaves torch: `.item()`, `.tolist()`, `float(...)`."""
    return next((assumed.place for assumed in graph.assumptions if "number" in assumed.what), None)


def _is_meant(subject: Subject, cut: Node) -> bool:
    """Is it written into a `forward`, is it no cut of values, or part of a straight-through estimator?

    A step function is no way to freeze anything: a network is frozen by `detach` and `no_grad` (linear probes, MoCo's
    key encoder, 1911.05722; BYOL's target, 2006.07733).
    """
    if cut.op in _STEPS:
        return False
    if cut.op != "detach" or cut.place is None:
        return True
    source = subject.graph[cut.inputs[0]]
    if not subject.graph.users[cut.index]:
        return False  # it leaves torch: numpy wants it detached
    return cut.place.function.rpartition(".")[2] == "forward" or source.op in ("sub", "rsub")


def _matter(witness: Witness, names: list[str]) -> bool:
    """Does the output change with the parameters' values?"""
    arguments, clone = witness.arguments(), copied(witness.model)
    clone.model.eval()
    parameters = dict(clone.model.named_parameters())
    with torch.no_grad():
        for name in names:
            steps = torch.linspace(_STEP, -_STEP, parameters[name].numel())  # apart: one step for all moves no argmax
            parameters[name].add_(steps.view(parameters[name].shape).to(parameters[name]))
    moved, still = execute(clone, arguments), witness.evaluation
    return moved.ran and still.ran and not moved.equals(still) and still.equals(witness.run(training=False))


def _fault(subject: Subject, names: list[str], cut: Node | None, reason: str, line: Place | None = None) -> Fault:
    graph = subject.graph
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    shown = ", ".join(modules[:3]) + (f" and {len(modules) - 3} more" if len(modules) > 3 else "")
    call = next((call for call in graph.calls if call.path == modules[0]), None)
    place = line or (cut.place if cut is not None else call.place if call is not None else None)
    count = f"{len(names)} parameter{'s' * (len(names) > 1)}"
    message = f"no gradient reaches {count} of {shown or 'the network'} in a real backward pass: {reason}"
    node = cut.index if cut is not None else call.first if call is not None else len(graph) - 1
    return Fault(Where(min(node, len(graph) - 1), cut.module if cut is not None else modules[0], place), message)
