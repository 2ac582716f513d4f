"""Every awkward network comes out of every public function as it went in, to the bit."""

import warnings

import pytest
import torch

import skipstone
from skipstone.core.errors import SkipstoneError
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
}


def test_there_are_as_many_as_were_found_to_be_changed() -> None:
    assert len(awkward.MODELS) >= 53


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", awkward.MODELS)
def test_untouched(name: str) -> None:
    model = awkward.MODELS[name]()
    changed = {}
    for function in FUNCTIONS:
        before = awkward.state(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SurgeryWarning)
            FUNCTIONS[function](model)
        after = awkward.state(model)
        if different := sorted(k for k in {*before, *after} if before.get(k, "absent") != after.get(k, "absent")):
            changed[function] = different[:3]
    assert changed == {}


@pytest.mark.parametrize("name", awkward.MODELS)
def test_a_real_pass_shows_that_it_could_have_been_seen(name: str) -> None:
    """The comparison is not blind: what a real pass in training changes, it sees."""
    model = awkward.MODELS[name]().train()
    before = awkward.state(model)
    model(torch.randn(awkward.IMAGE))
    if name not in ("symbolically_traced", "a_merging_train", "weight_norm", "a_wrapped_method"):
        assert awkward.state(model) != before
