"""Every command that a page shows is run, in a folder that holds what the pages speak of."""

import io
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skipstone import cli
from skipstone.experiments.claims import CLAIMS
from skipstone.learn import progress
from skipstone.learn.unit import load

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_BLOCK = r"^(?: {4}|  then )(?:\$ |\.venv/bin/)?skipstone (\S.*?)(?:   .*)?$"
_INLINE = r"`(?:\.venv/bin/)?skipstone ([a-z][^`]*)`"
SHOWN = re.compile(f"{_BLOCK}|{_INLINE}", re.MULTILINE)
CLAIM_NAMES = {claim.name for claim in CLAIMS}
OWN_UNIT = ROOT / "docs" / "learn" / "own-units.md"
STANDS_FOR = {
    "TARGET": "net.py:Net", "BEFORE": "net.py:Net", "AFTER": "net.py:Net", "FROM": "conv1", "TO": "conv3",
    "NAME": "resnet20", "DIR": "cifar",
}  # fmt: skip
TRAINING = ("train", "compare", "search", "claims", "demo")
ELSEWHERE = (
    "--each",
    "--costs",
    "torchvision:",
)  # in tests of their own: minutes of work, or what may not be installed
STUDENTS_CODE = ("learn check", "learn watch", "learn grade", "learn verify")  # each answer in a process of its own

NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.conv1(x)
        y = self.conv2(x)
        y = y + x
        return self.conv3(y)


class ResNetBlock(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.conv = nn.Conv2d(width, out, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


TheirNet = Net
"""
SCRIPT = "import torch\nfrom net import Net\n\nassert Net()(torch.randn(2, 3, 8, 8)).shape == (2, 8, 8, 8)\n"


def shown() -> list[str]:
    """Each command once, without prompt and remarks."""
    found = [a or b for page in PAGES for a, b in SHOWN.findall(page.read_text(encoding="utf-8"))]
    return sorted({" ".join(command.split()) for command in found})


def tokens_of(command: str) -> list[str]:
    return [STANDS_FOR.get(token, token) for token in shlex.split(command)]


COMMANDS = shown()


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("net.py", "their_file.py", "file.py"):
        (tmp_path / name).write_text(NET)
    for name in ("train.py", "script.py"):
        (tmp_path / name).write_text(SCRIPT)
    (unit,) = re.findall(r"^```python\n(.*?)^```", OWN_UNIT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for file in ("mine_1.py", "answer_mine_1.py"):
        (tmp_path / file).write_text(unit)
    (tmp_path / "FOLDER" / "ada").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "FOLDER" / "ada"):
        (folder / "shapes_1.py").write_text(load("shapes-1").starter)
        progress.attempted(folder, "wire-2", True, "")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "package").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "package" / "train.py").write_text(SCRIPT)
    (tmp_path / "best.toml").write_text('lr = 0.05\n[network]\nmodel = "skipstone:plain8"\n')
    (tmp_path / "pyproject.toml").write_text('[[tool.skipstone.check]]\ntarget = "net.py:Net"\ninputs = ["3x8x8"]\n')
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


def test_the_pages_show_commands():
    assert len(COMMANDS) > 30
    assert {command.split()[0] for command in COMMANDS} == set(cli.COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_exists(command):
    tokens = tokens_of(command)
    if (
        len(tokens) > 1 and tokens[0] != "run"
    ):  # what stands behind `run` is the program's; a command by its name alone is named, not shown
        cli._app().parse_args(tokens, exit_on_error=False, print_error=False)


def _runs_here(command: str) -> bool:
    tokens = tokens_of(command)
    if tokens[0] in TRAINING or command.startswith(STUDENTS_CODE):
        return False
    return len(tokens) > 1 and not any(part in command for part in ELSEWHERE)


@pytest.mark.parametrize("command", [command for command in COMMANDS if _runs_here(command)])
def test_every_command_runs(project, command):
    tokens = tokens_of(command)
    if tokens[0] == "run":
        subprocess.run([sys.executable, "-m", "skipstone", *tokens], check=True, timeout=120)
    else:
        assert cli.run(tokens) in (cli.CLEAN, 1)


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(STUDENTS_CODE)])
def test_every_command_that_judges_runs(project, command):
    process = subprocess.Popen(
        [sys.executable, "-m", "skipstone", *tokens_of(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if "watch" in command:
        assert process.stderr is not None
        assert any("waiting for shapes_1.py to be saved" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode in ((130,) if "watch" in command else (cli.CLEAN, 1)), err
    assert out


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.split()[0] in TRAINING and "--out" in c and "--runner" not in c]
)
def test_every_training_command_runs_on_the_digits(project, command):
    tokens = _shortened(tokens_of(command))
    if "--resume" in tokens:
        cli.run(["train", "--model", "skipstone:plain8", "--epochs", "1", "--out", tokens[tokens.index("--out") + 1]])
    assert cli.run(tokens) == cli.CLEAN


def _shortened(tokens: list[str]) -> list[str]:
    """The same command on the digits, with as little to train as there can be."""
    least = {"search": ["--runs"], "claims": ["--epochs", "--seeds", "--width"]}.get(tokens[0], [])
    tokens = [*tokens, *(part for option in least if option not in tokens for part in (option, ""))]
    if tokens[0] == "claims":
        tokens = ["claims", "projection", *(token for token in tokens[1:] if token not in CLAIM_NAMES)]
    several = "resnet8" if "--variant" in tokens else "plain8,resnet8"  # a variant takes out skips, which plain8 lacks
    small = {
        "--models": several, "--model": "skipstone:resnet8" if tokens[0] == "search" else "skipstone:plain8",
        "--data": "digits", "--epochs": "1", "--seeds": "1", "--width": "4", "--runs": "2", "--budget": "3s",
    }  # fmt: skip
    for option, value in small.items():
        if option in tokens:
            tokens[tokens.index(option) + 1] = value
    if "--data-dir" in tokens:
        del tokens[tokens.index("--data-dir") : tokens.index("--data-dir") + 2]
    return tokens
