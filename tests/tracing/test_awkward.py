"""Every awkward network comes out of every public function as it went in, to the bit."""

import contextlib
import functools
import inspect
import warnings

import pytest
import torch

import skipstone
from skipstone.core.errors import PartialRecordWarning, SkipstoneError
from skipstone.flow import gradient_flow
from skipstone.surgery import SurgeryWarning
from skipstone.tracing import trace

from . import awkward


def _refused_or_done(function, model, *arguments):
    try:
        return function(model, *arguments)
    except SkipstoneError as error:  # what cannot be edited is refused, and untouched too
        return error


def _gradient_flow(model):
    if any(parameter.requires_grad for parameter in model.parameters()):
        _refused_or_done(
            gradient_flow, model, (torch.randn(awkward.IMAGE), torch.tensor(0.0)), lambda output, _: output.sum()
        )


def _watch(model):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if parameters:
        with skipstone.watch(model, torch.optim.SGD(parameters, lr=0.1)):
            pass


def _assert_skips_ok(model):
    with contextlib.suppress(AssertionError):
        skipstone.assert_skips_ok(model, awkward.IMAGE)


def _connect(model):
    names = [name for name, _ in model.named_modules() if name]
    connect = functools.partial(skipstone.connect, example=awkward.IMAGE)
    return _refused_or_done(connect, model, names[0] if names else "", names[-1] if names else "")


# Public functions that take no network, or that train or run the caller's own as they are asked to.
OTHERS = {"train", "plan", "compare", "write_report", "explain", "explaining", "install"}
FUNCTIONS = {
    "trace": lambda m: trace(m, awkward.IMAGE),
    "trace in the other mode": lambda m: trace(m, awkward.IMAGE, mode="eval" if m.training else "train"),
    "find_skips": lambda m: skipstone.find_skips(m, awkward.IMAGE),
    "check": lambda m: skipstone.check(m, awkward.IMAGE),
    "check without a run": lambda m: skipstone.check(m, awkward.IMAGE, run=False),
    "legal_sizes": lambda m: skipstone.legal_sizes(m, (2, 3, "h", "h"), h=range(1, 5)),
    "diff": lambda m: skipstone.diff(m, m, awkward.IMAGE),
    "ablate": lambda m: _refused_or_done(skipstone.ablate, m, "all", awkward.IMAGE),
    "gradient_flow": _gradient_flow,
    "assert_skips_ok": _assert_skips_ok,
    "connect": _connect,
    "watch": _watch,
}


def test_there_are_as_many_as_were_found_to_be_changed() -> None:
    assert len(awkward.MODELS) >= 53


def test_every_public_function_is_tried() -> None:
    public = {name for name in skipstone.__all__ if inspect.isfunction(getattr(skipstone, name))}
    assert {name.partition(" ")[0] for name in FUNCTIONS} == public - OTHERS


def changed(name: str) -> dict[str, list[str]]:
    """For each function that changed the model of this name, some of what it changed."""
    model = awkward.MODELS[name]()
    found = {}
    for function, call in FUNCTIONS.items():
        before = awkward.state(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SurgeryWarning)
            warnings.simplefilter("ignore", PartialRecordWarning)
            call(model)
        after = awkward.state(model)
        if different := sorted(k for k in {*before, *after} if before.get(k, "absent") != after.get(k, "absent")):
            found[function] = different[:3]
    return found


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", awkward.MODELS)
def test_untouched(name: str) -> None:
    assert changed(name) == {}


@pytest.mark.parametrize("name", awkward.MODELS)
def test_a_real_pass_shows_that_it_could_have_been_seen(name: str) -> None:
    """The comparison is not blind: what a real pass in training changes, it sees."""
    model = awkward.MODELS[name]().train()
    before = awkward.state(model)
    model(torch.randn(awkward.IMAGE))
    if name not in ("symbolically_traced", "a_merging_train", "weight_norm", "a_wrapped_method"):
        assert awkward.state(model) != before
