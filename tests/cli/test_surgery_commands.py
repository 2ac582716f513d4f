"""`skipstone connect`, `ablate` and `diff` as typed."""

import json
import subprocess
import sys

import pytest
import torch

from skipstone import cli, find_skips

NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, c=4):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.a(x)
        y = torch.relu(self.b(x))
        y = y + x  # the skip
        return self.c(y)
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    for command in (
        ["init", "-q"],
        ["add", "net.py"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], check=True)
    return tmp_path / "net.py"


def test_ablate_prints_a_diff_that_git_takes(net, capsys):
    assert cli.run(["ablate", "net.py:Net", "-i", "3x8x8", "--diff"]) == 0
    out, err = capsys.readouterr()
    assert "-        y = y + x  # the skip\n" in out
    assert "1 skip to take out" in err
    subprocess.run(["git", "apply", "--check", "-"], input=out.encode(), check=True)


def test_ablate_writes_and_diff_sees_it(net, capsys):
    assert cli.run(["ablate", "net.py:Net", "-i", "3x8x8", "--write"]) == 0
    assert net.read_text() == NET.replace("        y = y + x  # the skip\n", "")
    capsys.readouterr()
    assert cli.run(["diff", "net.py:Net", "-i", "3x8x8", "--revision", "HEAD"]) == 1
    assert "- lost     a -> forward: identity add over 1 layer (HEAD:net.py:15)" in capsys.readouterr().out
    assert cli.run(["diff", "net.py:Net", "-i", "3x8x8", "--revision", "HEAD", "--format", "json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["lost"]) == 1


def test_diff_of_a_network_with_itself_is_clean(net, capsys):
    assert cli.run(["diff", "net.py:Net", "net.py:Net(c=8)", "-i", "3x8x8", "--strict"]) == 0
    assert capsys.readouterr().out == "1 skip in both\n"


def test_connect_plans_and_saves(net, capsys):
    assert cli.run(["connect", "net.py:Net", "input", "c", "-i", "3x8x8", "--out", "new.pt"]) == 0
    out, err = capsys.readouterr()
    assert "input (2, 3, 8, 8) -> c (2, 4, 8, 8)" in out
    assert "cost: +13 parameters" in out
    assert "saved: new.pt" in err
    assert cli.run(["connect", "net.py:Net", "input", "c", "-i", "3x8x8", "--diff"]) == 2
    assert "merge the model's input into the output of c by add" in capsys.readouterr().err
    assert cli.run(["connect", "net.py:Net", "a", "c", "-i", "3x8x8", "--write"]) == 0
    assert "x = (skip := self.a(x))" in (net.parent / "net.py").read_text()
    assert (net.parent / "new.pt").stat().st_size > 0


def test_a_saved_network_loads_where_its_code_can_be_imported(tmp_path):
    code = """
import torch, skipstone
torch.save(skipstone.ablate(skipstone.models.create("resnet20"), "all", (2, 3, 32, 32)), "m.pt")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    model = torch.load(tmp_path / "m.pt", weights_only=False)
    assert not find_skips(model, (2, 3, 32, 32))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ablate", "net.py:Net", "-i", "3x8x8", "--which", "block*"], "no skip matches"),
        (["connect", "net.py:Net", "c", "a", "-i", "3x8x8"], "would close a loop"),
        (["diff", "net.py:Net", "-i", "3x8x8"], "give a second network"),
        (["diff", "net.py:Net", "-i", "3x8x8", "--revision", "nowhere"], "git cannot read revision 'nowhere'"),
        (["diff", "net.py:Net", "-i", "3x8x8", "--revision=--output=FILE"], "begins with a dash"),
        (["diff", "skipstone:resnet20", "-i", "3x8x8", "--revision", "HEAD"], "is no file"),
    ],
)
def test_mistakes_are_one_line(net, capsys, arguments, text):
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_an_uncertain_source_is_told_in_words(net, capsys):
    net.write_text(NET.replace("y = y + x", "for _ in range(2):\n            y = y + x"))
    assert cli.run(["ablate", "net.py:Net", "-i", "3x8x8", "--diff", "--which", "0"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "some of its runs change. By hand:\nnet.py:16 in the model, run 1 of it: take the second operand" in err
