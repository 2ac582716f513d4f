"""Models that are no longer plain Python: scripted, traced, compiled, exported, wrapped. Recorded, and left alone."""

import copy

import pytest
import torch
import torch.fx
from torch import nn

from skipstone.checks import check
from skipstone.skips import find_skips
from skipstone.tracing import trace

IMAGE = (2, 3, 8, 8)


def conv(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 4), conv(4, 4)

    def forward(self, x):
        x = self.a(x)
        return x + self.b(x)


def swish(x):
    return x * torch.sigmoid(x)


class ScriptedParts(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.b = torch.jit.script(self.b)
        self.act = torch.jit.script(swish)

    def forward(self, x):
        x = self.a(x)
        return x + self.act(self.b(x))


FORMS = {
    "scripted parts": ScriptedParts,
    "scripted": lambda: torch.jit.script(Residual()),
    "traced": lambda: torch.jit.trace(Residual().eval(), torch.zeros(IMAGE)),
    "symbolically traced": lambda: torch.fx.symbolic_trace(Residual()),
    "exported": lambda: torch.export.export(Residual().eval(), (torch.zeros(IMAGE),)).module(),
    "compiled": lambda: torch.compile(Residual()),
    "data parallel": lambda: nn.DataParallel(Residual()),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("form", FORMS)
def test_recorded_with_its_skip_and_left_alone(form: str) -> None:
    model = FORMS[form]()
    if form != "exported":
        model.train()
    before = copy.deepcopy(model.state_dict())
    graph = trace(model, IMAGE)
    assert graph.stopped is None
    assert graph.failures == ()
    assert [skip.merge for skip in find_skips(graph) if skip.is_block_skip] == ["add"]
    assert all(parameter.reached for parameter in graph.parameters)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("form", ["scripted", "traced"])
@pytest.mark.parametrize("training", [True, False])
def test_a_check_of_compiled_code_has_nothing_to_say(form: str, training: bool) -> None:
    report = check(FORMS[form]().train(training), IMAGE)
    assert report.partial is None
    assert report.errors == report.warnings == ()


def test_modules_in_plain_lists_run_too() -> None:
    """Their parameters are nobody's, which is a bug of the model's, but the operations are there."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Residual(), nn.Conv2d(4, 4, 1)]

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Hidden()
    before = model.blocks[0].a[1].running_mean.clone()
    graph = trace(model.train(), IMAGE)
    assert [skip.kind for skip in find_skips(graph)] == ["identity"]
    assert torch.equal(model.blocks[0].a[1].running_mean, before)
