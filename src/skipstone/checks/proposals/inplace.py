"""Repairs of in-place operations: the same operation on a tensor of its own."""

from collections.abc import Iterator

from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import Edit, OutOfPlace, SetAttributes
from skipstone.core.finding import Finding
from skipstone.core.graph import Node
from skipstone.surgery import site_of


def inplace_saved(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    writer = finding.data.get("writer")
    if isinstance(writer, int):
        yield out_of_place(subject, subject.graph[writer])


def out_of_place(subject: Subject, writer: Node) -> Proposal:
    """`inplace=False` on the module that writes, or the call itself written out of place."""
    edit: Edit
    module = subject.model.get_submodule(writer.module) if writer.module else None
    if getattr(module, "inplace", False) is True:
        edit = SetAttributes(writer.module, {"inplace": False})
        title = f"{type(module).__name__} {writer.module}: inplace=False"
    else:
        edit = OutOfPlace(site_of(subject.graph, writer.index))
        title = f"{writer.op} out of place"
    return Proposal(title, (edit,), "one more activation in memory")
