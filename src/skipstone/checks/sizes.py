"""Legal sizes for the findings that depend on the input's size."""

from dataclasses import replace

from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding

# A fault of these rules may be one of the input's size; whether it is, the sizes themselves tell.
_SIZED = frozenset(
    [
        "spatial-mismatch",
        "fixed-table",
        "too-small",
        "wrong-width",
        "reshape-mismatch",
        "rank-mismatch",
        "own-error",
        "refused-operation",
        "one-value-per-channel",
    ]
)


def with_sizes(subject: Subject, finding: Finding) -> Finding:
    """The finding with the sizes at which the network runs, where there are any."""
    if finding.severity != "error" or finding.rule not in _SIZED:
        return finding
    return replace(finding, sizes=subject.sizes)
