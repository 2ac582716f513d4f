"""What mends a merge of a functional Keras model, in the lines that build it: found from the finding alone.

Such a repair is no edit of a live network: whether it mends anything is known once the file is run with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.mending.channels_last import projection, written
from skipstone.core.finding import Branch, Finding, LedgerStep
from skipstone.core.graph import Graph, Place
from skipstone.core.sources import SourceChange
from skipstone.surgery.source import symbolic
from skipstone.surgery.source.expressions import UncertainError


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A change of the lines that build a model, and what it does in words."""

    title: str
    change: SourceChange


def rewritings(finding: Finding, graph: Graph) -> Iterator[Rewriting]:
    """The changes that may mend the finding, the likeliest first; none where it is of no functional model."""
    place, met = finding.place, _met(finding, graph)
    if place is None or met is None or not symbolic.is_merge(place):
        return
    for attempt in (_kept_sizes, _projected):
        try:
            found = attempt(place, met)
        except UncertainError:
            continue
        if found is not None and found.change.before != found.change.after:
            yield found


def advice(finding: Finding, graph: Graph) -> str:
    """What to write by hand in the lines that build the model, and why we do not; "" where nothing is known to help."""
    met = _met(finding, graph)
    spec = projection(met.branch.shape, met.shortcut.shape) if met is not None else None
    return f"pass the shortcut through {written(spec)}: {_why_not(finding, met)}" if spec and met else ""


def _why_not(finding: Finding, met: "_Met") -> str:
    if finding.place is None:
        return "the line that calls the merge was not seen while the model was built"
    if not symbolic.is_merge(finding.place):
        return f"{finding.place} does not call the merge itself"
    try:
        _projected(finding.place, met)
    except UncertainError as reason:
        return str(reason)
    return "with the line changed so, the file does not run to its end, or shows the same"


@dataclass(frozen=True, slots=True)
class _Met:
    """The two ways into a merge of a functional model; `operand` is the shortcut's number."""

    branch: Branch
    shortcut: Branch
    operand: int


def is_of_functional(finding: Finding, graph: Graph) -> bool:
    """Is it a layer of Keras' own that no line of the user's calls when the model runs?"""
    node = graph[finding.node]
    kind = graph.modules.get(node.module)
    return node.site is None and kind is not None and kind.module.startswith("keras.")


def _met(finding: Finding, graph: Graph) -> _Met | None:
    labels = [branch.label for branch in finding.branches]
    if not is_of_functional(finding, graph) or sorted(labels) != ["branch", "shortcut"]:
        return None
    branch, shortcut = (finding.branches[labels.index(label)] for label in ("branch", "shortcut"))
    return _Met(branch, shortcut, labels.index("shortcut"))


def _kept_sizes(place: Place, met: _Met) -> Rewriting | None:
    """Layers of the branch that lose its border keep it; a shortcut of another width gets its projection besides."""
    branch, shortcut = met.branch.shape, met.shortcut.shape
    steps = [step for step in met.branch.steps if step.before[1:-1] != step.after[1:-1]]
    lines = [step.place for step in steps if step.place is not None]
    if branch[1:-1] == shortcut[1:-1] or not lines or len(lines) < len(steps) or not all(map(_loses_border, steps)):
        return None
    title, file = f"{', '.join(dict.fromkeys(step.module for step in steps))}: padding='same'", None
    if branch[-1] != shortcut[-1]:
        spec = projection((*shortcut[:-1], branch[-1]), shortcut)
        if spec is None:
            return None
        file = symbolic.project(place, met.operand, 2, spec.type.rpartition(":")[2], spec.arguments)
        title = f"{title}, and {written(spec)} on the shortcut"
    return Rewriting(title, symbolic.keep_size(lines, file).change())


def _loses_border(step: LedgerStep) -> bool:
    """Is less lost than by a stride?"""
    return all(2 * after > before for before, after in zip(step.before[1:-1], step.after[1:-1], strict=True))


def _projected(place: Place, met: _Met) -> Rewriting | None:
    spec = projection(met.branch.shape, met.shortcut.shape)
    if spec is None:
        return None
    file = symbolic.project(place, met.operand, 2, spec.type.rpartition(":")[2], spec.arguments)
    return Rewriting(f"projection: {written(spec)} on the shortcut", file.change())
