"""`skipstone flow net.py:Net --input 3x32x32`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import SkipstoneError, printable

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor, nn

    from skipstone.flow.looking import Look
    from skipstone.runs.flow import FlowRecord


def run(
    target: arguments.Target,
    /,
    *,
    input: arguments.Inputs = (),
    data: Annotated[str | None, Parameter(help="Take the batch from digits, cifar10, cifar100 or file.py:f.")] = None,
    data_dir: arguments.DataFolder = None,
    batch: int | None = None,
    lr: float | None = None,
    optimizer: str = "sgd",
    mode: arguments.Mode = "train",
    seed: int = 0,
    skips: Annotated[bool, Parameter(negative="--no-skips")] = True,
    advise: bool = False,
    all: bool = False,
    svg: Path | None = None,
    format: arguments.TextOrJson = "text",
) -> int:
    """Tell what one batch sends back to each layer, what each skip contributes, and what is wrong with it.

    A copy of the network is run forward and backward once on standard-normal numbers, or on a batch of --data. With
    --lr one step of the optimizer is taken, and what the weights really changed by is measured. Exit status: 0
    nothing is known to be wrong, 1 something is, 2 could not run.

    Parameters
    ----------
    batch
        Examples in the batch. Default: as --input says (2 for 3x32x32), 64 of --data.
    lr
        Take one step with this learning rate. Without it no step is taken.
    optimizer
        sgd, adam or adamw, torch's defaults otherwise.
    seed
        Of the network's initialisation, the numbers and the labels drawn.
    skips
        Measure what each skip contributes: about one more backward pass.
    advise
        Where the gradient vanishes or explodes, put skips over every two layers into a copy, and tell what they do on
        the same batch.
    all
        Print every layer and skip, not the two ends of long tables.
    svg
        Draw the gradient's norm over depth as an SVG file.
    """
    import torch

    from skipstone.core.files import write_atomically
    from skipstone.flow.looking import look, step_of
    from skipstone.models.target import resolve
    from skipstone.runs.flow.drawing import Line, flow_svg

    svg = arguments.output_path(svg)
    step = None if lr is None else step_of(optimizer, lr)
    prepare_to_record()
    with output.aside(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if data is None:
            model, example, labels = resolve(target), _example(target, input, batch), None
        else:
            model, example, labels = _on_data(target, input, data, data_dir, batch or 64)
        model.train(mode == "train")
        seen = look(model, example, labels=labels, optimizer=step, skips=skips, advise=advise, seed=seed)
    if format == "json":
        print(json.dumps(_as_json(target, seen), indent=1))
    else:
        _print(target, seen, all=all, stepped=lr is not None)
    if svg:
        write_atomically(svg, flow_svg([(target, [Line.of("gradient at each layer's output", seen.record)])]).encode())
        output.note(f"figure: {svg}")
    return int(any(verdict.is_ill for verdict in seen.record.verdicts))


def _example(target: str, texts: tuple[str, ...], batch: int | None) -> "tuple[Tensor, ...]":
    """The example inputs, with the batch that was asked for."""
    made = arguments.examples(target, texts)
    _demand_batch(batch)
    return made if batch is None else tuple(t.new_empty((batch, *t.shape[1:])) for t in made)


def _on_data(
    target: str, texts: tuple[str, ...], data: str, folder: Path | None, batch: int
) -> "tuple[nn.Module, tuple[Tensor, ...], Tensor]":
    """The network for a data set, as training builds it, and the first images of its training part."""
    from skipstone.data import Pixels, load
    from skipstone.runs.records import RunSpec
    from skipstone.training.model import build_model

    if texts:
        raise SkipstoneError("--input and --data both say what the input is; give one of them")
    _demand_batch(batch)
    splits = load(data, folder)
    part = splits.train[:batch]
    spec = RunSpec(model=target, data=data)
    model = build_model(spec, splits.shape, splits.num_classes, splits.label_shape)
    return model, (Pixels.of(splits.train).normalise(part.pixels),), part.labels


def _demand_batch(batch: int | None) -> None:
    if batch is not None and batch < 1:
        raise SkipstoneError(f"batch is {batch}, expected at least 1")


def _as_json(target: str, seen: "Look") -> dict[str, object]:
    from skipstone.core.codec import encode

    record = seen.record
    verdicts = [encode(verdict) for verdict in record.verdicts]
    told: dict[str, object] = {
        "target": target,
        "measured_on": seen.measured_on,
        "flow": record.to_dict(),
        "verdicts": verdicts,
    }
    return told if seen.trial is None else told | {"tried": encode(seen.trial)}


def _print(target: str, seen: "Look", *, all: bool, stepped: bool) -> None:
    from rich.text import Text

    from skipstone.runs.flow.text import summary

    printer = output.table_console()
    printer.print(f"{target}   {seen.measured_on}\n")
    for table in _tables(seen.record, all=all, stepped=stepped, width=printer.width):
        printer.print(table)
        printer.print()
    styled = Text(printable(summary(seen.record)))
    for verdict in seen.record.verdicts:
        styled.highlight_words([f"{verdict.kind}:"], "bold red" if verdict.is_ill else "bold green")
    output.console().print(styled)
    if seen.trial is not None:
        output.console().print(str(seen.trial))


def _tables(record: "FlowRecord", *, all: bool, stepped: bool, width: int) -> "list[Table]":
    from skipstone.runs.flow import text

    layers: list[tuple[str, ...]] = text.layer_rows(record)
    columns: tuple[str, ...] = text.LAYER_COLUMNS
    if not stepped:  # no step, nothing in its two columns
        kept = [k for k, name in enumerate(columns) if name not in ("step/w", "unmoved")]
        columns, layers = tuple(columns[k] for k in kept), [tuple(row[k] for k in kept) for row in layers]
    parts = [
        (columns, layers),
        (text.SKIP_COLUMNS, text.skip_rows(record)),
        (text.REUSE_COLUMNS, text.reuse_rows(record)),
    ]
    shown = [(head, rows if all else text.shortened(rows)) for head, rows in parts if rows]
    return [_table(head, text.fitted(head, rows, width)) for head, rows in shown]


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for k, name in enumerate(columns):
        table.add_column(name, justify="left" if k == 0 else "right", overflow="fold", no_wrap=k > 0)
    for row in rows:
        table.add_row(*row)
    return table
