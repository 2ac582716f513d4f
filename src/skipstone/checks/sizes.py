"""Legal sizes for the findings that depend on the input's size."""

from dataclasses import replace

from skipstone.checks.codes import BY_CODE
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding


def with_sizes(subject: Subject, finding: Finding) -> Finding:
    """The finding with the sizes at which the network runs: whether the fault is one of the input's size, they tell."""
    if finding.severity != "error" or not BY_CODE[finding.code].depends_on_size:
        return finding
    return replace(finding, sizes=subject.sizes)
