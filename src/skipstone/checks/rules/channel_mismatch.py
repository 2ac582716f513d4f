"""Channel mismatch: the branches of an addition have different numbers of channels.

What it finds:
    An addition (or product) of two branches whose channel axes differ, so that torch raises.
Why it matters:
    A residual block's identity shortcut is defined for equal shapes only (He et al. 2015, 1512.03385, section 3.2).
Example:
    `Conv2d(64, 128, 3, stride=2, padding=1)` on the branch, `x` itself on the shortcut.
Repair:
    A 1x1 projection on the shortcut (option B), zero channels (option A), or a last layer of the branch as wide as `x`.
Effect of the repair:
    A projection adds in x out parameters; option A none. The network did not run before.
References:
    He et al. 2015, Deep Residual Learning for Image Recognition, 1512.03385, section 3.3.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, merge_fault
from skipstone.checks.mending.merges import mismatch
from skipstone.checks.rule import Fault, Proposal, Rule
from skipstone.checks.subject import Subject

RULE = Rule("SK101", "channel-mismatch", "error", "the branches of an addition have different numbers of channels")


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "channel-mismatch"):
        yield merge_fault(subject, node, channels=True)


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    return mismatch(subject, fault)
