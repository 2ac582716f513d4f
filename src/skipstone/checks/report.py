"""The outcome of a check: findings, skips, what could not be seen."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from html import escape

from skipstone.checks.text import SKIP_COLUMNS, finding_text, skip_rows
from skipstone.core.as_text import pretty_as_text
from skipstone.core.finding import Finding
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip


@dataclass(frozen=True)
class Report:
    """What `check` returns. Prints as text; `findings` come worst first.

    `ran` says whether the network was really run, or why not; `run_seconds` how long that took of the whole check;
    `num_untried` of how many findings no repair was tried, for want of time.
    """

    findings: tuple[Finding, ...]
    skips: tuple[Skip, ...]
    graph: Graph
    num_silenced: int = 0
    ran: str = ""
    run_seconds: float = 0.0
    remarks: tuple[str, ...] = ()  # comments that were meant to silence a finding and can't be read
    num_untried: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def partial(self) -> str | None:
        """Where recording stopped before the forward pass ended, None if it did not."""
        return f"partial: {self.graph.stopped}" if self.graph.stopped else None

    @cached_property
    def summary(self) -> str:
        """One line: how many skips of which kind, how many findings, whether it was really run."""
        kinds = Counter(skip.kind for skip in self.skips if skip.is_block_skip)
        total = sum(kinds.values())
        skips = f"{total} skip{'s' * (total != 1)}" + (
            f" ({', '.join(f'{n} {k}' for k, n in kinds.items())})" if kinds else ""
        )
        counts = Counter(finding.severity for finding in self.findings)
        found = ", ".join(f"{counts[s]} {s}{'s' * (counts[s] > 1)}" for s in ("error", "warning", "note") if counts[s])
        quiet = f"; {self.num_silenced} silenced by comments" if self.num_silenced else ""
        nothing = "nothing to report" + (" as far as the record goes" if self.partial else "")
        ran = f"; {self.ran}" if self.ran else ""
        untried = f"; repairs of {self.num_untried} not verified, for want of time" if self.num_untried else ""
        return f"{skips}; {found or nothing}{quiet}{untried}{ran}"

    def __str__(self) -> str:
        """Every finding, then the summary; a partial record is said so."""
        root = self.graph.modules[""].type
        parts = [finding_text(finding, root) for finding in self.findings]
        if self.partial:
            parts.append(self.partial)
        parts.extend(f"note: {a.what}{f' ({a.place})' if a.place else ''}" for a in self.graph.assumptions)
        parts.extend(f"warning: {remark}" for remark in self.remarks)
        return "\n\n".join([*parts, self.summary])

    _repr_pretty_ = pretty_as_text

    def _repr_html_(self) -> str:
        """For a notebook: the text of the findings, then the skips as a table."""
        head = "".join(f"<th>{name}</th>" for name in SKIP_COLUMNS)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in skip_rows(self.skips))
        return f"<pre>{escape(str(self))}</pre><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
