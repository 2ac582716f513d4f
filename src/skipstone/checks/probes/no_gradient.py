"""No gradient: a trainable parameter changes the output, and no gradient reaches it.

What it finds:
    A parameter that requires a gradient, whose value the output really depends on, and which has none behind a real
    backward pass: a reentrant checkpoint whose input requires no gradient (the image), a `detach()` or `.data` in a
    helper, a detour through numpy. What `forward` itself detaches or runs under `no_grad` is meant and left alone; a
    skip connection or branch that is cut is SK209.
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
from skipstone.core.graph import Node
from skipstone.execution import Witness, execute
from skipstone.execution.copying import copied

RULE = Rule("SK404", "no-gradient", "warning", "a trainable parameter changes the output, and no gradient reaches it")

_STEP = 0.5  # how far parameters are moved to see whether the output does


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not subject.model.training or not witness.own.ran or not witness.own.learns:
        return
    without = [n for n, p in witness.own.clone.model.named_parameters() if p.requires_grad and p.grad is None]
    used = {parameter.name for parameter in subject.graph.parameters if parameter.used}
    without = [name for name in without if name in used]
    if not without or any(True for _ in cut_gradient.check(subject)):
        return
    read = witness.own.read  # without what stochastic depth left out of this very pass
    checkpointed = [name for name in without if read.get(name)]
    cuts = {} if checkpointed else {name: _cut(subject, name) for name in without if name in read}
    told = checkpointed or [name for name, cut in cuts.items() if cut is not None and not _is_meant(subject, cut)]
    if told and _matter(witness, told):
        yield _fault(subject, told, cuts.get(told[0]))


def _cut(subject: Subject, name: str) -> Node | None:
    """The last operation on the way from a parameter to the output before which there is a gradient."""
    graph = subject.graph
    start = next((node.index for node in graph if node.kind == "parameter" and node.name == name), None)
    pending = [] if start is None else [start]
    seen = set(pending)
    while pending:
        for user in graph.users[pending.pop(0)]:
            node = graph[user]
            if not node.requires_grad:
                return node
            if user not in seen:
                seen.add(user)
                pending.append(user)
    return None


def _is_meant(subject: Subject, cut: Node) -> bool:
    """Is it written into a `forward`, is it no cut of values, or part of a straight-through estimator?"""
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
            parameters[name].add_(_STEP)
    moved, still = execute(clone, arguments), witness.evaluation
    return moved.ran and still.ran and not moved.equals(still) and still.equals(witness.run(training=False))


def _fault(subject: Subject, names: list[str], cut: Node | None) -> Fault:
    graph = subject.graph
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    shown = ", ".join(modules[:3]) + (f" and {len(modules) - 3} more" if len(modules) > 3 else "")
    call = next((call for call in graph.calls if call.path == modules[0]), None)
    place = cut.place if cut is not None else call.place if call is not None else None
    reason = f"it ends at {cut.op}" if cut is not None else "the checkpoint around it hands none back"
    count = f"{len(names)} parameter{'s' * (len(names) > 1)}"
    message = f"no gradient reaches {count} of {shown or 'the network'} in a real backward pass: {reason}"
    node = cut.index if cut is not None else call.first if call is not None else len(graph) - 1
    return Fault(Where(min(node, len(graph) - 1), cut.module if cut is not None else modules[0], place), message)
