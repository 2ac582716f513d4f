"""What is said of an error: the network, the call, the finding and the repair; and nothing where there is nothing."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from failing_networks import Overwriting, Picky, Residual, Widening
from skipstone import explain
from skipstone.programs import explaining
from skipstone.programs.calls import Watch


def raised(function):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is what gets explained
        function()
    return caught.value


def test_a_forward_error_is_explained_with_the_inputs_of_its_call():
    error = raised(lambda: Widening()(torch.zeros(5, 3, 6, 6), scale=0.5))
    explanation = explain(error)
    assert explanation is not None
    text = str(explanation)
    assert "Widening, called at test_explanation.py:" in text
    assert "with (5, 3, 6, 6)" in text
    assert "SK101  error: cannot add 3 channels to 8 channels" in text
    assert "+        return self.skipstone_shortcut(x) + (scale * self.conv(x))" in text
    assert "<pre>skipstone: Widening" in explanation._repr_html_()


def test_the_root_is_recorded_not_the_layer_that_raised():
    net = nn.Sequential(nn.Conv2d(3, 3, 1), Widening())
    explanation = explain(raised(lambda: net(torch.zeros(2, 3, 6, 6))))
    assert explanation is not None
    assert explanation.report is not None
    assert explanation.report.findings[0].module == "1"


def test_an_error_of_the_values_names_the_module_it_came_up_in():
    explanation = explain(raised(lambda: Picky()(torch.full((2, 3, 4, 4), torch.inf))))
    assert explanation is not None
    assert "Picky" in explanation.title
    assert "the program's came up in Picky (Picky), which was given (2, 3, 4, 4)" in explanation.note or (
        explanation.report is not None and "not finite" in str(explanation.report)
    )


def test_a_network_freed_before_its_backward_pass_is_named():
    watch = Watch()
    watch.start()
    try:
        error = raised(lambda: nn.MSELoss()(Overwriting()(torch.ones(7, 4)), torch.zeros(7, 4)).backward())
    finally:
        watch.stop()
    explanation = explain(error, watch)
    assert explanation is not None
    assert "the backward pass at test_explanation.py:" in explanation.title
    assert "probably of Overwriting, which was called with (7, 4)" in explanation.title
    assert "keep it in a variable" in explanation.note
    leaf = torch.ones(2, requires_grad=True)
    assert explain(raised(lambda: leaf.backward()), watch) is None  # no network's


@pytest.mark.parametrize("wrap", [lambda net: net, nn.DataParallel], ids=["plain", "data-parallel"])
def test_a_backward_error_is_met_by_the_watched_call(wrap):
    watch = Watch()
    watch.start()
    try:
        other, net = nn.Linear(3, 3), wrap(Overwriting())
        other(torch.zeros(1, 3))
        error = raised(lambda: net(torch.ones(7, 4)).sum().backward())
    finally:
        watch.stop()
    assert explain(error) is None  # nobody watched, as far as this call is told
    explanation = explain(error, watch)
    assert explanation is not None
    text = str(explanation)
    assert "the backward pass at test_explanation.py:" in text
    assert "of Overwriting, which was called with (7, 4)" in text
    assert "SK109" in text
    assert "y = y + self.b(y)" in text


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda: F.cross_entropy(torch.zeros(8, 10), torch.zeros(2, dtype=torch.long)), "2 samples became 8 rows"),
        (lambda: F.cross_entropy(torch.zeros(4, 10), torch.zeros(8, dtype=torch.long)), "8 samples became 4 rows"),
        (lambda: F.cross_entropy(torch.zeros(4, 10), torch.zeros(4, 1, dtype=torch.long)), "targets.squeeze(-1)"),
        (lambda: F.cross_entropy(torch.zeros(4, 10), torch.zeros(4)), "targets.long()"),
        (lambda: F.cross_entropy(torch.zeros(4, 10), torch.full((4,), 10)), "a target is 10, and 10 outputs"),
        (lambda: F.nll_loss(torch.zeros(4, 10), torch.full((4,), -1)), "a target is -1"),
        (lambda: F.binary_cross_entropy(torch.zeros(4, 1), torch.zeros(4)), "outputs.squeeze(-1)"),
        (lambda: nn.BCEWithLogitsLoss()(torch.zeros(4), torch.zeros(4, 1)), "targets.squeeze(-1)"),
        (lambda: nn.CrossEntropyLoss()(torch.zeros(2, 5, 8, 8), torch.zeros(2, 1, 8, 8).long()), "(2, 8, 8)"),
        (lambda: nn.MSELoss()(torch.zeros(4, 3), torch.zeros(5, 2)), "must have one shape"),
    ],
)
def test_a_loss_given_what_does_not_fit(loss, words):
    explanation = explain(raised(loss))
    assert explanation is not None
    assert explanation.loss is not None
    assert "at test_explanation.py:" in explanation.title
    assert words in str(explanation)


@pytest.mark.parametrize(
    "outputs_targets",
    [
        (torch.zeros(4, 10), torch.zeros(4, dtype=torch.long)),
        (torch.zeros(4, 10), torch.full((4,), -100)),
        (torch.zeros(4, 10, 3), torch.zeros(4, 3, dtype=torch.long)),
        (torch.zeros(4, 10), torch.zeros(4, 10)),
    ],
)
def test_a_loss_given_what_fits_is_no_fault(outputs_targets):
    from skipstone.programs.losses import fault

    F.cross_entropy(*outputs_targets)  # torch takes it
    assert fault("cross_entropy", *outputs_targets) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError(), ValueError("nobody's network")])
def test_what_no_network_is_to_blame_for_is_not_explained(error):
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert explain(caught.value) is None


def test_explaining_a_block_prints_and_lets_the_error_go_on(capsys):
    with pytest.raises(RuntimeError), explaining():
        Widening()(torch.zeros(2, 3, 6, 6))
    assert "SK101" in capsys.readouterr().err
    with explaining():
        Residual()(torch.zeros(2, 3, 6, 6))
    assert capsys.readouterr().err == ""


def test_a_fault_of_ours_is_told_as_ours_and_changes_nothing(capsys, monkeypatch):
    monkeypatch.setattr("skipstone.programs.explanation.check", lambda *args: 1 / 0)
    with pytest.raises(RuntimeError, match="size of tensor a"), explaining():
        Widening()(torch.zeros(2, 3, 6, 6))
    assert "a fault of skipstone's own: ZeroDivisionError" in capsys.readouterr().err
