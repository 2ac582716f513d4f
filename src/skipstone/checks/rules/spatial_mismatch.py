"""Spatial mismatch: the branches of a merge have different sizes.

What it finds:
    An addition or concatenation of branches whose heights, widths or lengths differ, so that torch raises.
Why it matters:
    Strides, paddings and pooling round: what fits at one input size fails at the next.
Example:
    A strided 3x3 convolution rounds 15 up to 8, a 2x2 average pool on the shortcut rounds it down to 7.
Repair:
    The same rounding on both branches (`ceil_mode=True`, the branch's stride and padding on the shortcut), else pad,
    crop or interpolate one to the other's size.
Effect of the repair:
    Equal rounding makes every size legal and costs nothing; cropping and padding touch the border only.
References:
    Ronneberger et al. 2015, U-Net, 1505.04597, section 2 (crop); He et al. 2018, 1812.01187, section 4 (ResNet-D).
"""

from collections.abc import Iterator
from dataclasses import replace

from skipstone.checks.failures import failing, merge_fault
from skipstone.checks.mending.merges import mismatch
from skipstone.checks.rule import Fault, Proposal, Rule
from skipstone.checks.subject import Subject

RULE = Rule("SK102", "spatial-mismatch", "error", "the branches of a merge have different sizes", depends_on_size=True)


def check(subject: Subject) -> Iterator[Fault]:
    first: Fault | None = None
    also: list[str] = []
    for node in failing(subject, "spatial-mismatch"):
        if first is None:
            first = merge_fault(subject, node, channels=False)
        elif node.tainted:
            # Behind the first one, at an assumed size: the same input size, rounded once more.
            also.append(f"{node.module or 'forward'}{f' ({node.place})' if node.place else ''}")
        else:
            yield merge_fault(subject, node, channels=False)
    if first is not None:
        notes = (f"the next sizes do not meet either, at {', '.join(dict.fromkeys(also))}",) if also else ()
        yield replace(first, notes=(*first.notes, *notes))


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    return mismatch(subject, fault)
