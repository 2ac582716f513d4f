"""The worth of each skip of a trained network: three numbers kept apart, ranked, drawn."""

import copy
import json

import pytest
import torch
from torch import nn

from skipstone import cli
from skipstone.core.codec import decode
from skipstone.core.errors import SkipstoneError
from skipstone.data import load
from skipstone.experiments.ablation import _Setting, worth_of_skips
from skipstone.experiments.worths import Measured, SkipWorth, Worths
from skipstone.report.worth import worth_svg
from skipstone.runs.records import Recipe
from skipstone.training.evaluate import evaluate


class Net(nn.Module):
    """On the digits: one skip that carries everything, one that carries nothing."""

    def __init__(self, norm=True):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.dead, self.idle = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.head = nn.Linear(8 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.dead(x) + x
        x = self.norm(x)
        y = self.idle(x)
        y = y + 0.0 * torch.tanh(x)
        return self.head(nn.functional.avg_pool2d(y, 2).flatten(1))


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def trained(digits):
    torch.manual_seed(0)
    model = Net()
    nn.init.zeros_(model.dead.weight)
    nn.init.zeros_(model.dead.bias)
    model.dead.requires_grad_(False)
    _Setting(digits, 4, Recipe(lr=0.1), 0)._retrain(model)
    return model


def test_three_numbers_ranked(trained, digits):
    before = copy.deepcopy(trained.state_dict())
    told = []
    result = worth_of_skips(trained, digits, epochs=1, which=lambda s: s.merge == "add", tell=told.append)
    assert result.intact.zero_shot > 0.8
    first = result.skips[0]
    assert first.source == "stem" or first.kind == "identity"
    assert first.without.zero_shot < 0.3 < result.intact.zero_shot
    assert result.skips == tuple(sorted(result.skips, key=lambda s: s.without.last))
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    assert told[0] == "nothing taken out"
    assert decode(Worths, json.loads(json.dumps(result.to_dict())), version=1) == result


def test_intact_number_is_the_plain_evaluation(trained, digits):
    from skipstone.data import Pixels

    result = worth_of_skips(trained, digits, which=0)
    assert result.intact.retrained is None
    want = evaluate(copy.deepcopy(trained), digits.test, Pixels.of(digits.train))[1]
    assert result.intact.zero_shot == want
    assert result.intact.recalibrated == pytest.approx(want, abs=0.05)


def test_no_batch_norm_gives_no_recalibrated_number(digits):
    result = worth_of_skips(Net(norm=False), digits, which=0)
    assert result.intact.recalibrated is None
    assert " -" in str(result)


@pytest.mark.slow
def test_same_seed_same_numbers(trained, digits):
    a, b = (worth_of_skips(trained, digits, epochs=1, which=0, seed=3) for _ in range(2))
    assert a == b


def test_text_and_figure_label_all_three():
    measured = Measured(0.5, 0.6, 0.7)
    skip = SkipWorth(2, "identity", "add", "a", "b<c>", Measured(0.1, None, 0.3))
    worths = Worths("digits", 100, 2, 0, measured, (skip,))
    text = str(worths)
    assert text.splitlines()[1].split() == ["zero-shot", "recalibrated", "retrained", "2", "ep."]
    assert "#2 identity add b<c>" in text
    assert text.splitlines()[-1].split()[-3:] == ["10.00", "-", "30.00"]
    svg = worth_svg(worths)
    assert "batch norm recalibrated" in svg
    assert "b&lt;c&gt;: zero-shot 10.00 %" in svg
    assert svg.count("<circle") == 3 + 3 + 2


def test_mistakes():
    with pytest.raises(SkipstoneError, match="epochs to retrain must be 0 or more, not -1"):
        worth_of_skips(Net(), load("digits"), epochs=-1)


def test_command(tmp_path, capsys):
    run = [
        "train",
        "--model",
        "skipstone:resnet8",
        "--data",
        "digits",
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    assert cli.run(run) == 0
    capsys.readouterr()
    figure = tmp_path / "worth.svg"
    arguments = [
        "ablate",
        run[2],
        "--each",
        "--weights",
        str(tmp_path / "run"),
        "--which",
        "0",
        "--figure",
        str(figure),
    ]
    assert cli.run(arguments) == 0
    out = capsys.readouterr().out
    assert "nothing taken out" in out
    assert "zero-shot" in out
    assert figure.read_text().startswith("<svg")
    assert cli.run(["ablate", run[2], "--each"]) == 2
    assert "give --weights" in capsys.readouterr().err
    assert cli.run(["ablate", "skipstone:plain8", "--each", "--weights", str(tmp_path / "run")]) == 2
    assert "is a run of" in capsys.readouterr().err
