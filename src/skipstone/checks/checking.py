"""Check a network: record it, find its skips, run every rule, propose and verify repairs."""

from collections.abc import Iterable

from torch import nn

from skipstone.checks.comments import parse_codes, silenced, unread
from skipstone.checks.repair import Effort, verified_repairs
from skipstone.checks.report import Report
from skipstone.checks.run import Found, faults_of
from skipstone.checks.subject import Subject
from skipstone.execution import Run
from skipstone.tracing.deadline import NO_LIMIT, time_limit
from skipstone.tracing.session import Mode, asked_for, undisturbed


def check(
    model: nn.Module,
    example: object,
    *,
    mode: Mode | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    repairs: bool = True,
    sizes: bool = True,
    run: Run = "auto",
    budget: float = 0.5,
) -> Report:
    """Find what is wrong with a network's skip connections.

    Args:
        model: any module. It stays as it was: what is run is a copy.
        example: a shape with the batch axis `(2, 3, 32, 32)`, a tensor, a tuple of them, or a dict of arguments.
        mode: "train" or "eval": check the network as in training or in evaluation; by default as it is, which is in
            training for a network that has just been made.
        select: codes to look for (default: all), `ignore`: codes to leave out; `"SK2"` stands for all SK2xx.
        repairs: propose repairs, each verified on a copy.
        sizes: for a fault that depends on the input's size, give the legal sizes and the nearest ones.
        run: "auto" really runs a copy, forward and backward, where by the record it fits `budget` (seconds), at a
            smaller size if need be; True runs it at the size asked for; False does not. `Report.ran` says which.

    A finding whose line bears `# skipstone: ignore[CODE]` is left out.

    Raises:
        ExampleError: an example of no known form.
        UnknownNameError: a code that does not exist.
    """
    with (
        asked_for(mode),
        undisturbed(model),
        time_limit(NO_LIMIT),
    ):  # no time is left for another record once one took too long
        subject = Subject.of(model, example, run=run, budget=budget)
        return _check(subject, _codes(select), _codes(ignore) or set(), repairs, sizes)


def _check(subject: Subject, select: set[str] | None, ignore: set[str], repairs: bool, sizes: bool) -> Report:
    everything = faults_of(subject, select, ignore)
    told = [found for found in everything if not silenced(found.rule.code, found.fault.where.place)]
    effort = Effort(subject)
    findings = tuple(
        found.finding(
            sizes=subject.sizes if sizes and _depends_on_size(found) else (),
            repairs=verified_repairs(subject, found, everything, effort) if repairs else (),
        )
        for found in told
    )
    ran, seconds = subject.ran, subject.witness.seconds if subject.witness is not None else 0.0
    unreadable = (unread(found.fault.where.place) for found in everything)
    remarks = tuple(dict.fromkeys(remark for remark in unreadable if remark))
    silenced_ones = len(everything) - len(findings)
    return Report(findings, subject.skips, subject.graph, silenced_ones, ran, seconds, remarks, effort.cut)


def _depends_on_size(found: Found) -> bool:
    """May the fault be one of the input's size? Whether it is, the legal sizes tell."""
    return found.rule.severity == "error" and found.rule.depends_on_size


def _codes(texts: Iterable[str] | None) -> set[str] | None:
    return None if texts is None else parse_codes([texts] if isinstance(texts, str) else texts)
