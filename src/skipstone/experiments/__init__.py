"""Many runs: planned as immutable specs, trained in local processes, described over seeds.

Importing this package imports no torch: the workers do.
"""

from skipstone.experiments.comparing import compare
from skipstone.experiments.comparison import Comparison, Difference, Group, read_comparison, read_group_runs
from skipstone.experiments.forecast import Forecast, forecast
from skipstone.experiments.local import LocalRunner, available_cores, run_local
from skipstone.experiments.matching import matched
from skipstone.experiments.plan import plan
from skipstone.experiments.runner import Runner, RunProgress
from skipstone.experiments.statistics import Interval, Sample, sample, welch
from skipstone.runs.outcome import Outcome

__all__ = [
    "Comparison",
    "Difference",
    "Forecast",
    "Group",
    "Interval",
    "LocalRunner",
    "Outcome",
    "RunProgress",
    "Runner",
    "Sample",
    "available_cores",
    "compare",
    "forecast",
    "matched",
    "plan",
    "read_comparison",
    "read_group_runs",
    "run_local",
    "sample",
    "welch",
]
