"""`skipstone connect net.py:Net conv1 layer3 --input 3x32x32`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def run(
    target: str,
    source: str,
    end: str,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)],
    merge: Literal["add", "cat", "mul", "gate"] = "add",
    shortcut: str = "auto",
    at_init: Literal["zero", "plain"] = "zero",
    diff: bool = False,
    write: bool = False,
    out: Path | None = None,
) -> int:
    """Put a skip connection into a network, from the output of one module to the output of another.

    Prints the plan with its cost and the other shortcuts that would fit. Exit status: 0 done, 2 could not, or a
    source change was asked for and is not certain.

    Parameters
    ----------
    target
        file.py:Name, file.py:factory(64, 128), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME.
    source
        The module whose output the skip starts from, as layer1.0.conv1; input for the network's input; relu@1 for the
        second run of a module that runs several times; globs are paired one to one.
    end
        The module whose output it is merged into.
    input
        One example input: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64 (with a dtype).
    merge
        add, cat (what reads it is widened), mul, or gate (times the sigmoid).
    shortcut
        auto, one of the plan's alternatives (projection, avg_pool, ...), or a design of the catalogue (resnet_a).
    at_init
        zero: the output stays bit-equal until training changes it; plain: at full strength.
    diff
        Print the change of the source as a unified diff, where it is certain.
    write
        Make the change in the source.
    out
        Save the changed network here, by torch.save.
    """
    from skipstone import surgery
    from skipstone.cli.ablate import print_source
    from skipstone.models.target import outline, resolve
    from skipstone.tracing import parse_input_text

    model = resolve(target) if out else outline(target)
    example = tuple(map(parse_input_text, input))
    plan = surgery.plan_connection(model, source, end, merge=merge, shortcut=shortcut, at_init=at_init, example=example)
    print(plan, file=sys.stderr if diff else sys.stdout)
    status = print_source(model, plan.edits, write=write) if diff or write else 0
    if out:
        import torch

        torch.save(surgery.apply(model, plan.edits), out)
        print(f"saved: {out}", file=sys.stderr)
    return status
