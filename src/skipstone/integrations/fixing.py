"""Repairs of the source, one after another, each tried before the next: shown as one patch, or written at once.

After each repair the network is built from the changed source, which is not on the disk yet, and checked anew. So the
patch that is shown and the files that are written are the same bytes, and a file is written once.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
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
    given_up: set[tuple[str, str, str]] = set()
    with rehearsing() as put:
        for check_again in checks:
            report = check_again()
            for _ in range(_MAX_ROUNDS):
                found = next(
                    ((f, r, c) for f in report.findings for r, c in _certain(f) if _key(f) not in given_up), None
                )
                if found is None:
                    break
                finding, repair, changes = found
                for change in changes:
                    put(change)
                mended = check_again()
                if _is_worse(report, mended, finding):
                    given_up.add(_key(finding))
                    for change in changes:
                        put(SourceChange(change.path, change.after, change.before))
                    continue
                for change in changes:
                    before.setdefault(change.path, change.before)
                    after[change.path] = change.after
                fixed.append(Fixed(finding.code, finding.module, repair.title, tuple(str(c.path) for c in changes)))
                report = mended
            by_hand += suggestions(report, given_up)
    changed = tuple(SourceChange(path, before[path], after[path]) for path in before)
    return Mending(tuple(fixed), changed, tuple(by_hand))


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.module, finding.message


def _is_worse(before: Report, after: Report, mended: Finding) -> bool:
    """Does the finding stand, or does the class, changed for one instance, no longer run in another?"""
    more = before.partial is None and len(after.errors) > len(before.errors)
    return more or any(_key(finding) == _key(mended) for finding in after.findings)


def _certain(finding: Finding) -> Iterator[tuple[Repair, tuple[SourceChange, ...]]]:
    """The finding's first repair that resolves to certain call sites in the source, and what it changes."""
    for repair in finding.repairs:
        if isinstance(repair, Repair) and (changes := repair.changes()):
            yield repair, changes
            return


def suggestions(report: Report, given_up: Container[tuple[str, str, str]] = ()) -> Iterable[tuple[Finding, str]]:
    """The findings that have a repair but none with a certain place in the source, and what to do by hand."""
    for finding in report.findings:
        if finding.repairs and (_key(finding) in given_up or not any(_certain(finding))):
            yield finding, finding.repairs[0].suggestion
