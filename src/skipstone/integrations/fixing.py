"""Repairs of the source, one after another, each tried before the next: shown as one patch, or written at once.

After each repair the network is built from the changed source, which is not on the disk yet, and checked anew. So the
patch that is shown and the files that are written are the same bytes, and a file is written once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skipstone.checks import Report
from skipstone.checks.repair import Repair
from skipstone.core.finding import Finding
from skipstone.core.sources import SourceChange, write_changes
from skipstone.models.importing import rehearsing

_MAX_ROUNDS = 50


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


def mend(checks: Sequence[Callable[[], Report]]) -> Mending:
    """Make certain repairs until none is left. Each of `checks` builds one network from its source and checks it."""
    fixed: list[Fixed] = []
    before: dict[Path, bytes] = {}
    after: dict[Path, bytes] = {}
    by_hand: list[tuple[Finding, str]] = []
    with rehearsing() as put:
        for check_again in checks:
            for found, report in _rounds(check_again):
                if found is None:
                    by_hand += suggestions(report)
                    break
                finding, repair = found
                changes = repair.changes()
                for change in changes:
                    before.setdefault(change.path, change.before)
                    after[change.path] = change.after
                    put(change)
                fixed.append(Fixed(finding.code, finding.module, repair.title, tuple(str(c.path) for c in changes)))
    return Mending(tuple(fixed), tuple(SourceChange(p, before[p], after[p]) for p in before), tuple(by_hand))


def _rounds(check_again: Callable[[], Report]) -> Iterator[tuple[tuple[Finding, Repair] | None, Report]]:
    """The next certain repair after each check, at last None."""
    for _ in range(_MAX_ROUNDS):
        report = check_again()
        found = next(((f, r) for f in report.findings if (r := certain(f)) is not None), None)
        yield found, report
    yield None, check_again()


def certain(finding: Finding) -> Repair | None:
    """The finding's first repair that resolves to certain call sites in the source."""
    return next((r for r in finding.repairs if isinstance(r, Repair) and r.changes()), None)


def suggestions(report: Report) -> Iterable[tuple[Finding, str]]:
    """The findings that have a repair but none with a certain place in the source, and what to do by hand."""
    for finding in report.findings:
        if finding.repairs and certain(finding) is None:
            yield finding, finding.repairs[0].suggestion
