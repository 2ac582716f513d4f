"""Repairs of the source, one after another, each tried before the next: shown as one patch, or written at once.

After each repair the network is built from the changed source, which is not on the disk yet, and checked anew. So the
patch that is shown and the files that are written are the same bytes, and a file is written once.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skipstone.checks import Report
from skipstone.checks.mending.symbolic import advice, is_of_functional, rewritings
from skipstone.checks.repair import Repair
from skipstone.core.finding import Finding
from skipstone.core.sources import SourceChange, write_changes
from skipstone.models.importing import rehearsing
from skipstone.programs.explanation import building_report

_MAX_ROUNDS = 50
Changes = tuple[SourceChange, ...]
Tried = tuple[str, str, str, str]  # a finding's key and the repair's title


@dataclass(frozen=True, slots=True)
class Fixed:
    """One repair of the source: the finding it mends, its title, the files it changes."""

    code: str
    module: str
    title: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mending:
    """Every certain repair: what it mends, each file before all and after all, and what is left to do by hand."""

    fixed: tuple[Fixed, ...]
    changes: tuple[SourceChange, ...]
    by_hand: tuple[tuple[Finding, str], ...]

    def patch(self) -> bytes:
        """One patch for all files, as `git apply` takes it; applying it equals `write`."""
        return b"".join(change.patch() for change in self.changes)

    def write(self) -> None:
        """Write the files; `SourceError`, and none is written, where one has changed since it was read."""
        write_changes(self.changes)


def mend(
    checks: Callable[[], Sequence[Callable[[], Report]]], builds: Sequence[Callable[[], BaseException | None]] = ()
) -> Mending:
    """Make certain repairs until none is left.

    Args:
        checks: lists what is to be mended; each of its items builds one network from its source and checks it.
        builds: each runs a source and gives what it raised: a functional Keras model that cannot be built is mended
            first, in the lines that build it.
    """
    fixed: list[Fixed] = []
    before: dict[Path, bytes] = {}
    after: dict[Path, bytes] = {}
    by_hand: list[tuple[Finding, str]] = []
    given_up: set[Tried] = set()

    def keep(finding: Finding, title: str, changes: Changes) -> None:
        for change in changes:
            before.setdefault(change.path, change.before)
            after[change.path] = change.after
        fixed.append(Fixed(finding.code, finding.module, title, tuple(str(c.path) for c in changes)))

    with rehearsing() as put:
        for build in builds:
            for finding, title, changes in _while_built(build, put):
                keep(finding, title, changes)
        for check_again in checks():
            report = check_again()
            for _ in range(_MAX_ROUNDS):
                found = next(((f, *c) for f in report.findings for c in _left(f, report, given_up)), None)
                if found is None:
                    break
                finding, title, changes = found
                for change in changes:
                    put(change)
                mended = check_again()
                if _is_worse(report, mended, finding):
                    given_up.add((*_key(finding, report), title))
                    _put_back(changes, put)
                    continue
                keep(finding, title, changes)
                report = mended
            by_hand += suggestions(report, given_up)
    changed = tuple(SourceChange(path, before[path], after[path]) for path in before)
    return Mending(tuple(fixed), changed, tuple(by_hand))


def _put_back(changes: Changes, put: Callable[[SourceChange], None]) -> None:
    for change in changes:
        put(SourceChange(change.path, change.after, change.before))


def _while_built(
    build: Callable[[], BaseException | None], put: Callable[[SourceChange], None]
) -> Iterator[tuple[Finding, str, Changes]]:
    """The changes after which a model that could not be built can be, or comes to another merge that refuses."""
    report = _refused(build())
    for _ in range(_MAX_ROUNDS):
        if report is None:
            return
        finding = report.errors[0]
        for rewriting in rewritings(finding, report.graph):
            put(rewriting.change)
            error = build()
            following = _refused(error)
            if error is None or (following is not None and _where(following.errors[0]) != _where(finding)):
                yield finding, rewriting.title, (rewriting.change,)
                report = following
                break
            _put_back((rewriting.change,), put)
        else:
            return


def _refused(error: BaseException | None) -> Report | None:
    report = building_report(error) if error is not None else None
    return report if report is not None and report.errors else None


def _where(finding: Finding) -> tuple[str, str]:
    """Which merge it is, in whatever line it stands by now."""
    return finding.message, finding.place.function if finding.place else ""


def _key(finding: Finding, report: Report) -> tuple[str, str, str]:
    """What stays of a finding when the network is built anew: Keras numbers the layers of a functional model on."""
    built = finding.place is not None and is_of_functional(finding, report.graph)
    return finding.code, finding.place.function if built and finding.place else finding.module, finding.message


def _is_worse(before: Report, after: Report, mended: Finding) -> bool:
    """Does the finding stand, or does the class, changed for one instance, no longer run in another?"""
    more = before.partial is None and len(after.errors) > len(before.errors)
    return more or any(_key(finding, after) == _key(mended, before) for finding in after.findings)


def _certain(finding: Finding, report: Report) -> Iterator[tuple[str, Changes]]:
    """The finding's first repair that resolves to certain call sites in the source; what may mend lines that build."""
    for repair in finding.repairs:
        if isinstance(repair, Repair) and (changes := repair.changes()):
            yield repair.title, changes
            break
    for rewriting in rewritings(finding, report.graph):
        yield rewriting.title, (rewriting.change,)


def _left(finding: Finding, report: Report, given_up: Container[Tried]) -> Iterator[tuple[str, Changes]]:
    """Those of them that have not been tried in vain."""
    return (found for found in _certain(finding, report) if (*_key(finding, report), found[0]) not in given_up)


def suggestions(report: Report, given_up: Container[Tried] = ()) -> Iterable[tuple[Finding, str]]:
    """The findings that can be mended but not at a certain place in the source, and what to do by hand."""
    for finding in report.findings:
        if any(_left(finding, report, given_up)):
            continue
        if finding.repairs:
            yield finding, finding.repairs[0].suggestion
        elif words := advice(finding, report.graph):
            yield finding, words
