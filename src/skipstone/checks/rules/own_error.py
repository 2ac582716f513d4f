"""Own error: the network's own code raises on this input.

What it finds:
    A `raise`, a failed `assert` or a Python error in the forward pass itself, on the recorded shapes.
Why it matters:
    Nothing behind it was seen: the record is partial.
Example:
    `assert x.shape[-1] == self.img_size`.
Repair:
    None is proposed: the code's own words are given.
Effect of the repair:
    None.
References:
    None.
"""

from collections.abc import Iterator

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject

RULE = Rule("SK111", "own-error", "error", "the network's own code raises on this input", depends_on_size=True)


def check(subject: Subject) -> Iterator[Fault]:
    stop = subject.graph.stopped
    if stop is None or not stop.own or subject.graph.assumptions or subject.graph.failures:
        return
    last = len(subject.graph) - 1
    yield Fault(Where(last, stop.module, stop.place), f"{stop.error}: {stop.message}")
