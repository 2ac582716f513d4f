"""What skipstone has to say about an error that came out of a network: the report of that very call, and the repair."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape

import torch

from skipstone.checks import Report, check
from skipstone.checks.mending.symbolic import rewritings
from skipstone.checks.repair import Repair
from skipstone.core.as_text import pretty_as_text
from skipstone.core.errors import SkipstoneError, printable
from skipstone.core.graph import shape_text
from skipstone.core.sources import decode
from skipstone.programs.calls import Watch
from skipstone.programs.culprit import Culprit, culprit_of, freed_before
from skipstone.programs.keras_building import Unfinished, culprit_of_building
from skipstone.programs.losses import LossFault, loss_fault_of
from skipstone.tracing.nests import tensors_in

# What says nothing about how the network is wired.
_NOT_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, torch.OutOfMemoryError)


@dataclass(frozen=True)
class Explanation:
    """Why a program's error came about. Prints as text, and as HTML in a notebook.

    `report` is the check of the network with the inputs of the failing call, None where a loss was given the wrong
    shapes; `diff` is the first repair as a change of the user's source, None where no one place is certain.
    """

    title: str
    report: Report | None = None
    loss: LossFault | None = None
    diff: str | None = None
    note: str = ""

    def __str__(self) -> str:
        return "\n\n".join(_parts(self))

    _repr_pretty_ = pretty_as_text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def _parts(explanation: Explanation) -> Iterator[str]:
    yield printable(f"skipstone: {explanation.title}")
    if explanation.loss is not None:
        yield printable(str(explanation.loss))
    if explanation.note:
        yield printable(explanation.note)
    if explanation.report is not None and explanation.report.findings:
        yield printable(str(explanation.report))
    if explanation.diff:  # lines of the user's file, to the byte
        yield explanation.diff.rstrip("\n")


def explain(error: BaseException, watch: Watch | None = None) -> Explanation | None:
    """Explain an error that came out of a module's call, of a loss, or of a watched network's backward pass.

    Args:
        error: a caught exception, with its traceback.
        watch: the calls of root modules so far, for errors of a backward pass (`install` and `explaining` keep one).

    Returns:
        None where the error has nothing to do with a network. The network is recorded with the shapes, dtypes and
        keyword arguments of the failing call; it is not run again and stays as it is.
    """
    if isinstance(error, _NOT_OURS):
        return None
    fault = loss_fault_of(error)
    if fault is not None:
        return Explanation(fault.title, loss=fault)
    culprit = culprit_of_building(error) or culprit_of(error, watch)
    if culprit is None:
        return _freed(error, watch) if watch is not None else None
    return _explained(culprit)


def _freed(error: BaseException, watch: Watch) -> Explanation | None:
    """In words: nothing is kept alive for us, and of a network that is gone there is nothing to record."""
    found = freed_before(error, watch)
    if found is None:
        return None
    call, place = found
    example = call.example()
    given = ", ".join(_shapes((example.args, dict(example.kwargs)))) or "no tensor"
    note = (
        f"{call.kind} was freed before the backward pass, so no network is left to look at: keep it in a variable "
        "(`net = ...`) until backward() has returned, and the operation at fault is named here"
    )
    return Explanation(
        f"the backward pass{f' at {place}' if place else ''}, probably of {call.kind}, which was called with {given}",
        note=note,
    )


def _explained(culprit: Culprit) -> Explanation:
    title = _title(culprit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = check(culprit.root, culprit.example)
        except SkipstoneError as refused:
            return Explanation(title, note=f"the call could not be recorded: {refused}")
    if isinstance(culprit.root, Unfinished):
        return _of_building(title, with_line(report, culprit.root))
    faults = report.errors or report.warnings
    diff = next((change for finding in faults for repair in finding.repairs[:1] if (change := _diff(repair))), None)
    return Explanation(title, report, diff=diff, note="" if report.errors else _place_note(culprit))


def _of_building(title: str, report: Report) -> Explanation:
    """What would mend this call is sure by its shapes; what it does to others, the changed program tells."""
    found = (rewriting for finding in report.errors for rewriting in rewritings(finding, report.graph))
    change = next((rewriting.change for rewriting in found), None)
    diff = change.patch().decode(decode(change.before)[1]) if change is not None else None
    return Explanation(title, report, diff=diff)


def with_line(report: Report, unfinished: Unfinished) -> Report:
    """The report of a model that could not be built, the merge that refused at its line."""
    line = unfinished.line
    return replace(report, findings=tuple(f if f.place else replace(f, place=line) for f in report.findings))


def building_report(error: BaseException) -> Report | None:
    """The report of the functional Keras model whose building an error ended; None for any other error."""
    culprit = culprit_of_building(error)
    if culprit is None or not isinstance(culprit.root, Unfinished):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return with_line(check(culprit.root, culprit.example, run=False), culprit.root)


def _diff(repair: object) -> str | None:
    return repair.diff() if isinstance(repair, Repair) else None


def _title(culprit: Culprit) -> str:
    called = ", ".join(_shapes((culprit.example.args, dict(culprit.example.kwargs)))) or "no tensor"
    where = f" at {culprit.place}" if culprit.place else ""
    if isinstance(culprit.root, Unfinished):
        return f"the model that is being built{where}"
    if culprit.phase == "backward":
        return f"the backward pass{where} of {type(culprit.root).__name__}, which was called with {called}"
    return f"{type(culprit.root).__name__}, called{where} with {called}"


def _place_note(culprit: Culprit) -> str:
    """Where the error came up, for one that the record does not show."""
    if culprit.phase == "backward" or culprit.inner is None:
        return "the recorded pass shows no error"
    path = culprit.inner_path or type(culprit.inner).__name__
    given = ", ".join(_shapes(culprit.inner_args)) or "no tensor"
    kind = type(culprit.inner).__name__
    return f"the recorded pass shows no error; the program's came up in {path} ({kind}), which was given {given}"


def _shapes(nest: object) -> list[str]:
    texts = []
    for tensor in tensors_in(nest):
        dtype = "" if tensor.dtype == torch.float32 else f" {str(tensor.dtype).removeprefix('torch.')}"
        texts.append(shape_text(tuple(tensor.shape)) + dtype)
    return texts
