"""`skipstone check` and `skipstone explain` from the command line: output, exit status, wrong input of each kind."""

import json
import subprocess
import sys

import pytest

from skipstone.cli import run

NET = """
import torch
from torch import nn


class Faulty(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.a = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        self.short = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(3, width, 1))

    def forward(self, x):
        # the branch, then the shortcut
        return torch.relu(self.b(torch.relu(self.a(x))) + self.short(x))


class Clean(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())


class Stops(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy().copy()).unknown_method()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_fault_is_printed_with_its_ledger_and_exits_1(folder, capsys):
    assert run(["check", "net.py:Faulty", "--input", "3x15x15"]) == 1
    out = capsys.readouterr().out
    assert "SK102  error: cannot add 8x8 to 7x7" in out
    assert "short.0: AvgPool2d(k2, s2) rounds down   <- they part here" in out
    assert "ceil_mode=True" in out


def test_a_clean_network_exits_0(folder, capsys):
    assert run(["check", "net.py:Clean", "-i", "3x8x8"]) == 0
    assert "nothing to report" in capsys.readouterr().out


def test_the_same_network_is_clean_at_a_legal_size(folder):
    assert run(["check", "net.py:Faulty(8)", "-i", "3x16x16"]) == 0


def test_a_partial_record_exits_2_unless_it_found_something(folder, capsys):
    status = run(["check", "net.py:Stops", "-i", "3x8x8"])
    assert status in (1, 2)
    assert "stopped at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["net.py:Nothing", "-i", "3x8x8"], "unknown name 'Nothing'"),
        (["other.py:Net", "-i", "3x8x8"], "other.py"),
        (["net.py:Clean"], "no example input"),
        (["gone.py:Clean"], "there is no file gone.py; in its folder: net.py"),
        (["net.py:Clean", "-i", "3by8"], "input '3by8' is not understood"),
        (["net.py:Clean", "-i", "3x8x8:float3"], "unknown dtype 'float3'"),
        (["net.py:Clean", "-i", "3x0x8"], "size 0"),
        (["net.py:Faulty(__import__('os'))", "-i", "3x8x8"], "literal"),
        (["net.py:Clean", "-i", "3x8x8", "--select", "XX1"], "unknown code 'XX1'"),
        (["net.py:Clean", "-i", "3x8x8", "--baseline", "none.json"], "does not exist"),
        ([], "nothing to check"),
    ],
)
def test_wrong_input_is_told_and_exits_2(folder, capsys, arguments, words):
    assert run(["check", *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["check", "net.py:Clean", "--formt", "json"], ["check", "--mode", "x"]]
)
def test_a_wrong_command_line_exits_2(folder, capsys, arguments):
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_json_is_json_alone(folder, capsys):
    assert run(["check", "net.py:Faulty", "-i", "3x15x15", "--format", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in data["findings"]] == ["SK102"]


def test_fix_mends_the_file_and_keeps_the_rest(folder, capsys):
    assert run(["check", "net.py:Faulty", "-i", "3x15x15", "--diff"]) == 1
    assert "+        self.short = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True)" in capsys.readouterr().out
    assert (folder / "net.py").read_text() == NET
    assert run(["check", "net.py:Faulty", "-i", "3x15x15", "--fix"]) == 0
    assert "nothing to report" in capsys.readouterr().out
    mended = (folder / "net.py").read_text()
    assert mended == NET.replace("AvgPool2d(2, 2)", "AvgPool2d(2, 2, ceil_mode=True)")
    assert run(["check", "net.py:Faulty", "-i", "3x15x15"]) == 0


def test_a_baseline_accepts_what_is_there(folder, capsys):
    assert run(["check", "net.py:Faulty", "-i", "3x15x15", "--write-baseline", "known.json"]) == 0
    assert run(["check", "net.py:Faulty", "-i", "3x15x15", "--baseline", "known.json"]) == 0
    assert run(["check", "net.py:Faulty(8)", "-i", "3x15x17", "--baseline", "known.json"]) == 1


def test_pyproject_names_the_networks_to_check(folder, capsys):
    settings = (
        '[tool.skipstone]\nignore = ["SK3"]\n[[tool.skipstone.check]]\ntarget = "net.py:Faulty"\ninputs = ["3x15x15"]\n'
    )
    (folder / "pyproject.toml").write_text(settings)
    assert run(["check"]) == 1
    assert "net.py:Faulty" in capsys.readouterr().out
    (folder / "pyproject.toml").write_text("[tool.skipstone]\nignored = []\n")
    assert run(["check"]) == 2
    assert "unknown key 'ignored'; known: select, ignore, baseline, run, check" in capsys.readouterr().err


def test_explain_prints_pages_of_codes_and_designs(capsys):
    assert run(["explain", "SK102"]) == 0
    assert "spatial-mismatch" in capsys.readouterr().out
    assert run(["explain", "rezero"]) == 0
    assert "2003.04887" in capsys.readouterr().out
    assert run(["explain", "SK102x"]) == 2
    assert "nearest: SK102" in capsys.readouterr().err


def test_help_imports_no_torch():
    program = (
        "import sys\nfrom skipstone.cli import run\nimport skipstone\n"
        "assert run(['--help']) == 0\nassert run(['check', '--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'lightning_fabric'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_plugin_gives_the_fixture(tmp_path):
    (tmp_path / "test_net.py").write_text(
        "from torch import nn\n"
        "def test_right(assert_skips_ok):\n    assert_skips_ok(nn.Conv2d(3, 4, 3), (2, 3, 8, 8))\n"
        "def test_wrong(assert_skips_ok):\n    assert_skips_ok(nn.Conv2d(4, 4, 3), (2, 3, 8, 8))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "SK103" in done.stdout
