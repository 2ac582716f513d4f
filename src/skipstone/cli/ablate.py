"""`skipstone ablate net.py:Net --input 3x32x32`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import arguments, output
from skipstone.core.errors import SkipstoneError, printable

if TYPE_CHECKING:
    from torch import nn

    from skipstone.data import Splits


def run(
    target: arguments.Target,
    /,
    *,
    input: arguments.Inputs = (),
    which: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ("all",),
    parameters: Literal["keep", "remove"] = "keep",
    cat: Literal["drop", "zero"] = "drop",
    bridges: bool = False,
    diff: arguments.Diff = False,
    write: arguments.Write = False,
    out: Path | None = None,
    each: bool = False,
    data: arguments.Data = "digits",
    data_dir: arguments.DataFolder = None,
    weights: Path | None = None,
    retrain: int = 0,
    seed: int = 0,
    figure: Path | None = None,
    format: arguments.TextOrJson = "text",
) -> int:
    """Take skip connections out of a network.

    Prints what goes; with --diff the change of the source, where it is certain. With --each every skip is taken out
    of a trained network by itself, and the test accuracy measured zero-shot, with batch norm recalibrated, and
    retrained. Exit status: 0 done, 2 could not, or a source change was asked for and is not certain.

    Parameters
    ----------
    which
        all, a kind (projection), a number as `skipstone check --skips` lists them, or a glob of the module a skip
        ends in (layer1.*); may be repeated.
    parameters
        keep a removed projection's parameters in the state dict, or remove them.
    cat
        Of a concatenation: drop the other operands and narrow what reads it, or put zero in their place.
    bridges
        With all, take out long skips that have layers of their own on them, too.
    out
        Save the changed network here, by torch.save.
    each
        Measure the worth of each skip of a trained network; needs --weights.
    weights
        The trained weights: a run folder that `skipstone train` wrote, or a file with a state dict.
    retrain
        Epochs to train each ablated network, and the intact one, on for.
    seed
        Seed of the retraining.
    figure
        Draw the worths as an SVG file.
    """
    from skipstone import surgery
    from skipstone.models.target import outline, resolve

    out, figure = arguments.output_path(out), arguments.output_path(figure)
    chosen = [int(text) if text.isdigit() else text for text in which]
    if each:
        return _worths(target, weights, chosen, (data, data_dir), retrain, seed, figure, as_json=format == "json")
    example = arguments.examples(target, input)
    model = resolve(target) if out else outline(target)
    with output.aside():
        plan = surgery.plan_ablation(model, chosen, example, parameters=parameters, cat=cat, bridges=bridges)
    print(printable(str(plan)), file=sys.stderr if diff else sys.stdout)
    status = output.show_source(model, plan.edits, write=write) if diff or write else 0
    if out:
        output.save_network(model, plan.edits, out)
    return status


def _trained(target: str, weights: Path | None, splits: "Splits") -> "nn.Module":
    """The network with the weights of its run folder or of a state dict's file."""
    from skipstone.models.target import resolve
    from skipstone.runs.records import read_run
    from skipstone.training.model import build_model
    from skipstone.training.weights import load_weights

    if weights is None:
        raise SkipstoneError("the worth of a skip is measured on a trained network: give --weights")
    if weights.is_dir():
        spec = read_run(weights).spec
        if spec.model != target:
            raise SkipstoneError(f"{weights} is a run of {spec.model!r}, not of {target!r}")
        model = build_model(spec, splits.shape, splits.num_classes, splits.label_shape)
    else:
        model = resolve(target)
    load_weights(model, weights)
    return model


def _worths(  # type: ignore[no-untyped-def]
    target: str, weights: Path | None, which, source, epochs: int, seed: int, figure: Path | None, *, as_json: bool
) -> int:
    """Measure and print what each skip is worth."""
    from skipstone.core.files import write_atomically
    from skipstone.data import load
    from skipstone.experiments.ablation import worth_of_skips
    from skipstone.report.worth import worth_svg

    splits = load(*source)
    model = _trained(target, weights, splits)
    worths = worth_of_skips(model, splits, epochs=epochs, seed=seed, which=which, tell=output.note)
    print(json.dumps(worths.to_dict(), indent=1) if as_json else printable(str(worths)))
    if figure:
        write_atomically(figure, worth_svg(worths).encode())
        output.note(f"figure: {figure}")
    return 0
