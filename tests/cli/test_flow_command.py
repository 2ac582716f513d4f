import json
import xml.etree.ElementTree as ET

import pytest

from skipstone.cli import run

NET = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, 1, 1)
        self.norm = nn.BatchNorm2d(8)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * torch.relu(self.norm(self.conv1(x)))

class Net(nn.Sequential):
    def __init__(self, scale=1.0):
        blocks = [Block(), Block(scale), Block()]
        super().__init__(nn.Conv2d(3, 8, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""


DEEP = """
from torch import nn

class Deep(nn.Sequential):
    def __init__(self):
        super().__init__(*[part for _ in range(20) for part in (nn.Linear(16, 16), nn.ReLU())], nn.Linear(16, 16))
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)


def test_a_healthy_network_in_words(net, capsys):
    assert run(["flow", "net.py:Net", "--input", "3x16x16", "--batch", "8"]) == 0
    out = capsys.readouterr().out
    assert "standard-normal input 8x3x16x16; cross-entropy against random labels" in " ".join(out.split())
    assert "healthy: the gradient at 0 is" in out
    assert "unmoved" not in out  # no step was taken
    assert [line.split()[0] for line in out.splitlines() if "identity" in line] == ["0", "1", "2"]


def test_a_branch_scaled_away_is_told_with_the_block(net, capsys):
    assert run(["flow", "net.py:Net(1e-6)", "--input", "3x16x16"]) == 1
    out = capsys.readouterr().out
    assert "dead branch: the branch of skip 1" in out
    assert "(at 2)" in out
    assert "try: a scale that learns" in out


def test_a_target_drawn_is_not_the_input(net, tmp_path, capsys):
    (tmp_path / "same.py").write_text("from torch import nn\n\n\ndef same():\n    return nn.Conv2d(3, 3, 1)\n")
    run(["flow", "same.py:same", "--input", "3x16x16"])
    out = " ".join(capsys.readouterr().out.split())
    assert "mean squared distance from standard-normal numbers; loss 1." in out


def test_a_step_is_measured_and_drawn(net, capsys):
    assert run(["flow", "net.py:Net", "--input", "3x16x16", "--lr", "0.1", "--svg", "flow.svg"]) == 0
    assert "unmoved" in capsys.readouterr().out
    ET.parse("flow.svg")


def test_skips_are_tried_where_the_gradient_vanishes(net, tmp_path, capsys):
    (tmp_path / "deep.py").write_text(DEEP)
    assert run(["flow", "deep.py:Deep", "--input", "16", "--batch", "8", "--advise"]) == 1
    out = capsys.readouterr().out
    assert "vanishing: the gradient at 0 is" in out
    assert "tried on the same batch: a skip from 0 to 4 and 9 more like it" in out
    before, after = (float(out.partition(start)[2].split()[0]) for start in ("where it was ", "layer is then "))
    assert before < 1e-6 < 1e-2 < after


def test_json_holds_the_record_and_the_verdicts(net, capsys):
    assert (
        run(["flow", "net.py:Net", "--input", "3x16x16", "--format", "json", "--optimizer", "adam", "--lr", "1e-3"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["verdicts"][0]["kind"] == "healthy"
    assert {layer["name"] for layer in told["flow"]["layers"]} == {"0", "1.conv1", "2.conv1", "3.conv1", "6"}
    assert all(layer["unmoved"] < 0.5 for layer in told["flow"]["layers"])


LONG = (
    NET
    + """
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer_encoder = nn.ModuleDict({"encoder_layers": Net()})

    def forward(self, x):
        return self.transformer_encoder["encoder_layers"](x)
"""
)


def test_long_paths_are_cut_and_no_number_is(net, tmp_path, capsys):
    (tmp_path / "long.py").write_text(LONG)
    assert run(["flow", "long.py:Encoder", "--input", "3x16x16", "--lr", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "…" in line) <= 80
    (head,) = [line for line in lines if line.startswith("skip")]
    assert head.split() == ["skip", "into", "F/x", "cos", "var(F)", "dead", "shortcut", "branch"]
    skips = [line.split() for line in lines if " identity " in line]
    assert [(row[0], row[2][0], row[2][-2:]) for row in skips] == [("0", "…", ".1"), ("1", "…", ".2"), ("2", "…", ".3")]


OVERWRITES = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)
    def forward(self, x):
        y = torch.sigmoid(self.fc(x))
        y += x
        return y
"""


def test_a_network_whose_backward_pass_fails_is_refused_by_its_finding(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(OVERWRITES)
    assert run(["flow", "net.py:Net", "--input", "4"]) == 2
    error = capsys.readouterr().err
    assert "does not run on this input: SK109 add (net.py:9) overwrites in place what sigmoid (net.py:8) saved" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no example input; give one such as --input 3x32x32"),
        (["--input", "3x16x16", "--batch", "0"], "batch is 0, expected at least 1"),
        (["--input", "3x16x16", "--lr", "-1"], "lr is -1, expected a number above 0"),
        (["--input", "3x16x16", "--lr", "1", "--optimizer", "sdg"], "unknown optimizer 'sdg'; nearest: sgd"),
        (
            ["--input", "4x16x16"],
            "the network does not run on this input: SK103 Conv2d 0 is made for 3 features and meets 4",
        ),
        (["--input", "3x16x16", "--data", "digits"], "--input and --data both say what the input is"),
    ],
)
def test_what_is_wrong_is_one_line(net, capsys, arguments, text):
    assert run(["flow", "net.py:Net", *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.strip().splitlines()) == 1
