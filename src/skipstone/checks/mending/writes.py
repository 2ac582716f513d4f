"""Repairs of in-place operations: the same operation on a tensor of its own."""

from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import Edit, OutOfPlace, SetAttributes
from skipstone.surgery import site_of


def out_of_place(subject: Subject, index: int) -> Proposal:
    """`inplace=False` on the module that writes, or the call itself written out of place."""
    edit: Edit
    writer = subject.graph[index]
    module = subject.module_at(writer.module) if writer.module else None
    if getattr(module, "inplace", False) is True:
        edit = SetAttributes(writer.module, {"inplace": False})
        title = f"{type(module).__name__} {writer.module}: inplace=False"
    else:
        edit = OutOfPlace(site_of(subject.graph, index))
        title = f"{writer.op} out of place"
    return Proposal(title, (edit,), "one more activation in memory")
