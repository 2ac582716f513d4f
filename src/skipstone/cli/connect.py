"""`skipstone connect net.py:Net conv1 layer3 --input 3x32x32`."""

import sys
from pathlib import Path
from typing import Literal

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import printable


def run(
    target: arguments.Target,
    source: str,
    end: str,
    /,
    *,
    input: arguments.Inputs,
    merge: Literal["add", "cat", "mul", "gate"] = "add",
    shortcut: str = "auto",
    at_init: Literal["zero", "plain"] = "zero",
    diff: arguments.Diff = False,
    write: arguments.Write = False,
    out: Path | None = None,
) -> int:
    """Put a skip connection into a network, from the output of one module to the output of another.

    Prints the plan with its cost and the other shortcuts that would fit. Exit status: 0 done, 2 could not, or a
    source change was asked for and is not certain.

    Parameters
    ----------
    source
        The module whose output the skip starts from, as layer1.0.conv1; input for the network's input; relu@1 for the
        second run of a module that runs several times; globs are paired one to one.
    end
        The module whose output it is merged into.
    merge
        add, cat (what reads it is widened), mul, or gate (times the sigmoid).
    shortcut
        auto, one of the plan's alternatives (projection, avg_pool, ...), or a design of the catalogue (resnet_a).
    at_init
        zero: the output stays bit-equal until training changes it; plain: at full strength.
    out
        Save the changed network here, by torch.save.
    """
    from skipstone import surgery
    from skipstone.models.target import outline, resolve

    out = arguments.output_path(out)
    example = arguments.examples(target, input)
    prepare_to_record()
    model = resolve(target) if out else outline(target)
    with output.aside():
        plan = surgery.plan_connection(
            model, source, end, merge=merge, shortcut=shortcut, at_init=at_init, example=example
        )
    print(printable(str(plan)), file=sys.stderr if diff else sys.stdout)
    status = output.show_source(model, plan.edits, write=write) if diff or write else 0
    if out:
        output.save_network(model, plan.edits, out)
    return status
