"""Same object: one module stands under several names of a container, and each runs on the result of the one before.

What it finds:
    A `Sequential`, `ModuleList` or `ModuleDict` that holds one module with weights several times, called in a row.
    Shared activations hold nothing and are left alone; so are one head for several levels side by side, and a loop that
    calls one module, which says what it does.
Why it matters:
    All layers of the network share one set of weights, and a batch norm's running statistics mix all depths.
Example:
    `nn.Sequential(*(5 * [Block()]))`.
Repair:
    None is proposed: `[Block() for _ in range(5)]`; where sharing is meant, a loop over one module.
Effect of the repair:
    Weights of its own for every layer; a trained model needs training again.
References:
    Python documentation, sequence types: "items in the sequence s are not copied; they are referenced multiple times".
"""

from collections.abc import Iterator
from itertools import pairwise

from torch import nn

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.graph import ModuleCall
from skipstone.tracing.torch_internals import children_of

RULE = Rule("SK407", "same-object", "warning", "one module stands under several names of a container")

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def check(subject: Subject) -> Iterator[Fault]:
    for path, container in subject.modules.items():
        if not isinstance(container, _CONTAINERS):
            continue
        names: dict[int, list[str]] = {}
        for name, child in children_of(container).items():
            names.setdefault(id(child), []).append(name)
        for shared in (several for several in names.values() if len(several) > 1):
            module = children_of(container)[shared[0]]
            if module is None or not _has_state(module):
                continue
            calls = _in_a_row(subject, module)
            if calls:
                yield _fault(subject, path, container, shared, calls)


def _has_state(module: nn.Module) -> bool:
    """Does it hold weights or statistics? One activation may well stand under several names."""
    return any(True for _ in (*module.parameters(), *module.buffers()))


def _in_a_row(subject: Subject, module: nn.Module) -> list[ModuleCall]:
    """The calls of the module, where each works on what the one before gave."""
    path = next(path for path, other in subject.modules.items() if other is module)
    calls = [c for c in subject.graph.calls if c.path == path and c.completed and c.inputs and c.outputs]
    follows = (subject.ancestry.leads_to(one.outputs[0], two.inputs[0]) for one, two in pairwise(calls))
    return calls if len(calls) > 1 and all(follows) else []


def _fault(subject: Subject, path: str, container: nn.Module, names: list[str], calls: list[ModuleCall]) -> Fault:
    kind = type(container.get_submodule(names[0])).__name__
    told = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    message = f"{told} of {path or 'the network'} are one {kind}: its weights are shared by all"
    return Fault(Where(calls[0].first, path, calls[0].place), message)
