"""What of a large comparison a page can show: the groups that matter most, and so many runs that it stays a page."""

import math
from dataclasses import replace

from skipstone.experiments.comparison import Comparison, Group

GROUPS_SHOWN = 16
RUNS_SHOWN = 48
"""Runs whose curves and gradients are drawn, over all groups; three a group at the least."""

LINES_SHOWN = 20
"""Warnings, and runs that are not complete."""


def excerpt(comparison: Comparison) -> Comparison:
    """The comparison itself where it is small; of a large one the best groups, first runs and first warnings.

    What is left out is said in the last warning. Means, intervals and corrections stay those of the whole.
    """
    groups = _best(comparison)
    kept = max(3, RUNS_SHOWN // max(1, len(groups)))
    labels = {group.label for group in groups}
    said = []
    if len(groups) < len(comparison.groups):
        said.append(
            f"of {len(comparison.groups):,} networks the {len(groups)} with the highest test accuracy are shown"
        )
    if any(len(group.runs) > kept for group in groups):
        said.append(f"of each network the first {kept} runs are drawn in curves and gradients, and counted there")
    if len(comparison.warnings) > LINES_SHOWN:
        said.append(f"{len(comparison.warnings) - LINES_SHOWN:,} warnings more")
    note = [f"{'; '.join(said)}: all of it is in comparison.json"] if said else []
    return replace(
        comparison,
        groups=tuple(replace(group, runs=group.runs[:kept]) for group in groups),
        differences=tuple(d for d in comparison.differences if d.first in labels and d.second in labels),
        warnings=(*comparison.warnings[:LINES_SHOWN], *note),
    )


def _best(comparison: Comparison) -> tuple[Group, ...]:
    """The groups of the highest mean, in the order of the comparison; those it is against first."""
    if len(comparison.groups) <= GROUPS_SHOWN:
        return comparison.groups

    def rank(group: Group) -> tuple[bool, float]:
        mean = group.test_accuracy.mean
        return group.answers_to(comparison.against), -math.inf if math.isnan(mean) else mean

    best = {group.label for group in sorted(comparison.groups, key=rank, reverse=True)[:GROUPS_SHOWN]}
    return tuple(group for group in comparison.groups if group.label in best)
