"""Repairs of a tuple that stands where a tensor is due: one of the values that a call returned."""

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import Site, TakeItem
from skipstone.core.graph import ModuleCall
from skipstone.surgery import SurgeryError, alike, site_of, site_of_call

_TUPLES = frozenset(("tuple", "list"))
_MAX_CALLS = 4
# What these ops hand out in parts is meant to be taken apart, and which part was meant is not known.
_PARTS = frozenset(("chunk", "split", "unbind", "tensor_split", "meshgrid"))


def returning_several(subject: Subject) -> ModuleCall | None:
    """The last module that returned several values of which nothing behind it read the first."""
    return next(iter(_calls(subject)), None)


def one_taken(subject: Subject) -> Iterator[Proposal]:
    """`[0]` at the call that returned several values, latest first; another one where its shape is the input's."""
    for call in list(_calls(subject))[:_MAX_CALLS]:
        try:
            site = site_of_call(subject.graph, call)
        except SurgeryError:
            continue
        name = f"{name_of(subject.module_at(call.path))} {call.path}"
        for index in _items(subject, call):
            yield _taken(subject, _widened(subject, call, site), index, name)
    yield from _of_operations(subject)


def name_of(module: nn.Module) -> str:
    """`nn.LSTM`, or the user's class."""
    return f"{'nn.' if type(module).__module__.startswith('torch.nn') else ''}{type(module).__name__}"


def _calls(subject: Subject) -> Iterator[ModuleCall]:
    graph = subject.graph
    for call in reversed(graph.calls):
        several = call.completed and call.returned in _TUPLES and call.outputs
        if several and not any(user >= call.last for user in graph.users[call.outputs[0]]):
            yield call


def _items(subject: Subject, call: ModuleCall) -> list[int]:
    """Which value to go on with: the first, unless another one alone has the shape that went in."""
    shapes = [subject.graph[i].shape for i in call.outputs]
    wanted = subject.graph[call.inputs[0]].shape if call.inputs else None
    own = not type(subject.module_at(call.path)).__module__.startswith("torch.")
    if own and wanted in shapes and shapes[0] != wanted:
        return [shapes.index(wanted), 0]
    return [0]


def _widened(subject: Subject, call: ModuleCall, site: Site) -> Site:
    """Every run of a line that calls layers of one class in turn, of which the record has seen the first alone."""
    if site.occurrence is None and not _is_mixed(subject, call.path):
        return site
    first = 0 if site.occurrence is None else site.occurrence
    return replace(site, occurrence=first if _is_mixed(subject, call.path) else None)


def _is_mixed(subject: Subject, path: str) -> bool:
    """Does a container hold it beside layers of other classes?"""
    holder = subject.module_at(path.rpartition(".")[0])
    if not isinstance(holder, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return False
    return len({type(child) for child in holder.children()}) > 1


def _of_operations(subject: Subject) -> Iterator[Proposal]:
    graph = subject.graph
    for node in reversed(graph.nodes):
        following = graph[node.index + 1] if node.index + 1 < len(graph) else node
        several = node.kind == "op" and node.output == 0 and following.output == 1 and following.op == node.op
        if several and node.op not in _PARTS and not graph.users[node.index] and node.place == node.site is not None:
            yield _taken(subject, replace(site_of(graph, node.index), occurrence=None), 0, node.op)
            return


def _taken(subject: Subject, site: Site, index: int, name: str) -> Proposal:
    edits = tuple(TakeItem(one, index, name) for one in alike(subject.model, site))
    title = f"take `[{index}]` of what {name} returns"
    return Proposal(title, edits, "the other values that it returns are left")
