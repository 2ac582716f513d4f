"""`skipstone ablate net.py:Net --input 3x32x32`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def run(
    target: str,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)],
    which: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ("all",),
    parameters: Literal["keep", "remove"] = "keep",
    cat: Literal["drop", "zero"] = "drop",
    diff: bool = False,
    write: bool = False,
    out: Path | None = None,
) -> int:
    """Take skip connections out of a network.

    Prints what goes; with --diff the change of the source, where it is certain. Exit status: 0 done, 2 could not, or
    a source change was asked for and is not certain.

    Parameters
    ----------
    target
        file.py:Name, file.py:factory(64, 128), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME.
    input
        One example input: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64 (with a dtype).
    which
        all, a kind (projection), a number as `skipstone check --skips` lists them, or a glob of the module a skip
        ends in (layer1.*); may be repeated.
    parameters
        keep a removed projection's parameters in the state dict, or remove them.
    cat
        Of a concatenation: drop the other operands and narrow what reads it, or put zero in their place.
    diff
        Print the change of the source as a unified diff.
    write
        Make the change in the source.
    out
        Save the changed network here, by torch.save.
    """
    from skipstone import surgery
    from skipstone.models.target import outline, resolve
    from skipstone.tracing import parse_input_text

    model = resolve(target) if out else outline(target)
    chosen = [int(text) if text.isdigit() else text for text in which]
    example = tuple(map(parse_input_text, input))
    plan = surgery.plan_ablation(model, chosen, example, parameters=parameters, cat=cat)
    print(plan, file=sys.stderr if diff else sys.stdout)
    status = 0
    if diff or write:
        status = print_source(model, plan.edits, write=write)
    if out:
        import torch

        torch.save(surgery.apply(model, plan.edits), out)
        print(f"saved: {out}", file=sys.stderr)
    return status


def print_source(model, edits, *, write: bool) -> int:  # type: ignore[no-untyped-def]
    """Print or make the change of the source; in words, and status 2, where it is not certain."""
    from skipstone import surgery

    text = surgery.source_diff(model, edits)
    if text is None:
        why = surgery.why_not(model, edits)
        print(f"no source change is certain: {why}. By hand:\n{surgery.suggestion(edits)}", file=sys.stderr)
        return 2
    if not write:
        print(text, end="")
        return 0
    for path, new in (surgery.edited_sources(model, edits) or {}).items():
        Path(path).write_text(new, encoding=surgery.encoding_of(path), newline="")
        print(f"changed: {path}", file=sys.stderr)
    return 0
