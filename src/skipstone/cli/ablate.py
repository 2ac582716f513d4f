"""`skipstone ablate net.py:Net --input 3x32x32`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from torch import nn

    from skipstone.data import Splits


def run(
    target: str,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)] = (),
    which: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ("all",),
    parameters: Literal["keep", "remove"] = "keep",
    cat: Literal["drop", "zero"] = "drop",
    diff: bool = False,
    write: bool = False,
    out: Path | None = None,
    each: bool = False,
    data: str = "digits",
    data_dir: Path | None = None,
    weights: Path | None = None,
    retrain: int = 0,
    seed: int = 0,
    figure: Path | None = None,
    format: Literal["text", "json"] = "text",
) -> int:
    """Take skip connections out of a network.

    Prints what goes; with --diff the change of the source, where it is certain. With --each every skip is taken out
    of a trained network by itself, and the test accuracy measured zero-shot, with batch norm recalibrated, and
    retrained. Exit status: 0 done, 2 could not, or a source change was asked for and is not certain.

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
    each
        Measure the worth of each skip of a trained network; needs --weights.
    data
        digits, cifar10 or cifar100.
    data_dir
        Where CIFAR's binary version lies, a folder or the archive.
    weights
        The trained weights: a run folder that `skipstone train` wrote, or a file with a state dict.
    retrain
        Epochs to train each ablated network, and the intact one, on for.
    seed
        Seed of the retraining.
    figure
        Draw the worths as an SVG file.
    format
        How to print the worths: text or json.
    """
    from skipstone import surgery
    from skipstone.models.target import outline, resolve
    from skipstone.tracing import parse_input_text

    chosen = [int(text) if text.isdigit() else text for text in which]
    if each:
        return print_worths(target, weights, chosen, (data, data_dir), retrain, seed, figure, as_json=format == "json")
    if not input:
        raise SkipstoneError("give an example input: --input 3x32x32")
    model = resolve(target) if out else outline(target)
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


def trained(target: str, weights: Path | None, splits: "Splits") -> "nn.Module":
    """The network with the weights of its run folder or of a state dict's file."""
    import pickle

    import torch

    from skipstone.models.target import resolve
    from skipstone.runs.records import CHECKPOINT_FILE, read_run
    from skipstone.training.model import build_model

    if weights is None:
        raise SkipstoneError("the worth of a skip is measured on a trained network: give --weights")
    if weights.is_dir():
        spec = read_run(weights).spec
        if spec.model != target:
            raise SkipstoneError(f"{weights} is a run of {spec.model!r}, not of {target!r}")
        model, path = build_model(spec, splits.shape, splits.num_classes), weights / CHECKPOINT_FILE
    else:
        model, path = resolve(target), weights
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state.get("model", state))
    except (OSError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        raise SkipstoneError(f"{path} holds no weights for this network: {str(error).splitlines()[0]}") from error
    return model


def print_worths(  # type: ignore[no-untyped-def]
    target: str, weights: Path | None, which, source, epochs: int, seed: int, figure: Path | None, *, as_json: bool
) -> int:
    """Measure and print what each skip is worth."""
    from skipstone.data import load
    from skipstone.experiments.ablation import worth_of_skips
    from skipstone.report.worth import worth_svg

    splits = load(*source)
    model = trained(target, weights, splits)
    worths = worth_of_skips(
        model, splits, epochs=epochs, seed=seed, which=which, tell=lambda text: print(text, file=sys.stderr)
    )
    print(json.dumps(worths.to_dict(), indent=1) if as_json else worths)
    if figure:
        figure.write_text(worth_svg(worths), encoding="utf-8")
        print(f"figure: {figure}", file=sys.stderr)
    return 0


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
