"""What `--write` and `--diff` do to the user's files: to the byte, together, whole or not at all."""

import errno
import os
import stat
import subprocess

import pytest

from skipstone.cli import run
from skipstone.core import files
from skipstone.core.sources import SourceChange, SourceError

# Two faults, two repairs of one file: an identity overwritten in place, a head that is one channel too wide.
NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(9, 10)

    def forward(self, x):
        x = self.conv1(x)
        y = self.relu(x)
        y = self.conv2(y)
        x = x + y
        return self.head(x.mean((2, 3)))
"""
_HEAD, _MENDED_HEAD = "nn.Linear(9, 10)", "nn.Linear(in_features=8, out_features=10)"
MENDED = NET.replace(_HEAD, _MENDED_HEAD).replace("inplace=True", "inplace=False")
CHECK = ["check", "net.py:Net", "-i", "3x8x8"]
ABLATE = ["ablate", "net.py:Net", "-i", "3x8x8", "--write"]
CONNECT = ["connect", "net.py:Net", "conv1", "conv2", "-i", "3x8x8", "--write"]


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


def test_the_repairs_of_one_file_are_one_patch_that_equals_what_is_written(net, capsysbinary):
    assert run([*CHECK, "--diff", "--select", "SK103", "--select", "SK202"]) == 1
    patch = capsysbinary.readouterr().out
    assert patch.count(b"--- a/net.py") == 1
    assert net.read_text() == NET  # shown, not made
    assert run([*CHECK, "--write"]) == 0
    written = net.read_text()
    assert written == MENDED
    net.write_text(NET)
    subprocess.run(["git", "apply", "-"], input=patch, check=True)
    assert net.read_text() == written
    assert run(CHECK) == 0


def test_fix_is_the_same_option_as_write(net):
    assert run([*CHECK, "--fix"]) == 0
    assert net.read_text() == MENDED


def test_a_repair_in_another_file_of_the_package_is_seen_before_it_is_written(net, tmp_path, capsys):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(NET)
    (package / "net.py").write_text("from pkg.parts import Net\n\n\nclass Two(Net):\n    pass\n")
    assert run(["check", "pkg.net:Two", "-i", "3x8x8", "--write"]) == 0
    assert (package / "parts.py").read_text() == MENDED
    assert "changed" in capsys.readouterr().err


ENCODED = {
    "latin-1": b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + NET.encode(),
    "utf-8 with a mark": b"\xef\xbb\xbfNAME = 'caf\xc3\xa9'\n" + NET.encode(),
    "Windows line ends": NET.replace("\n", "\r\n").encode(),
    "mixed line ends": NET.replace("y = self.conv2(y)\n", "y = self.conv2(y)\r\n").encode(),
    "no last line end": NET.rstrip().encode(),
    "form feeds and tabs": NET.replace("\n\nclass", "\n\x0c\nclass").encode(),
}


@pytest.mark.parametrize("raw", ENCODED.values(), ids=ENCODED.keys())
@pytest.mark.parametrize("how", ["write", "patch"])
def test_every_byte_outside_the_edit_stays(net, raw, how, capsysbinary):
    net.write_bytes(raw)
    if how == "write":
        assert run([*CHECK, "--write"]) == 0
    else:
        assert run([*CHECK, "--diff"]) == 1
        out = capsysbinary.readouterr().out
        subprocess.run(["git", "apply", "-"], input=out, check=True)
    mended = raw.replace(_HEAD.encode(), _MENDED_HEAD.encode())
    assert net.read_bytes() == mended.replace(b"inplace=True", b"inplace=False")


@pytest.mark.parametrize("command", [ABLATE, CONNECT], ids=["ablate", "connect"])
def test_ablate_and_connect_keep_the_encoding_too(net, command):
    good = MENDED.encode()
    net.write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + good)
    assert run(command) == 0
    now = net.read_bytes()
    assert now.startswith(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n")
    net.write_bytes(good)
    assert run(command) == 0
    assert now.endswith(net.read_bytes())  # the same change as in a file without those two lines
    assert net.read_bytes() != good


def test_permissions_and_links_stay(net, tmp_path):
    net.chmod(0o750)
    link = tmp_path / "linked.py"
    link.symlink_to("net.py")
    assert run(["check", "linked.py:Net", "-i", "3x8x8", "--write"]) == 0
    assert link.is_symlink()
    assert net.read_text() == MENDED
    assert stat.S_IMODE(net.stat().st_mode) == 0o750


@pytest.mark.parametrize("command", [[*CHECK, "--write"], ABLATE, CONNECT, [*CHECK, "--write-baseline", "known.json"]])
def test_a_full_disk_leaves_every_file_as_it_was(net, tmp_path, monkeypatch, capsys, command):
    if command in (ABLATE, CONNECT):
        net.write_text(MENDED)
    (tmp_path / "known.json").write_text("kept")
    before = net.read_bytes()

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "write", full)
    assert run(command) == 2
    monkeypatch.undo()
    assert "No space left" in capsys.readouterr().err
    assert net.read_bytes() == before
    assert (tmp_path / "known.json").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".partial") == []


def test_a_read_only_file_is_refused(net, capsys):
    net.chmod(0o444)
    if os.access(net, os.W_OK):
        # As root every file can be written; the refusal itself is the writer's own test.
        assert run([*CHECK, "--write"]) == 0
        return
    assert run([*CHECK, "--write"]) == 2
    assert "is as it was" in capsys.readouterr().err
    assert net.read_text() == NET


def test_a_file_that_changed_since_it_was_read_is_not_written(tmp_path):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_bytes(b"a = 1\n")
    second.write_bytes(b"b = 3\n")  # an editor was quicker: it was `b = 1` when it was read
    changes = [SourceChange(first, b"a = 1\n", b"a = 2\n"), SourceChange(second, b"b = 1\n", b"b = 2\n")]
    from skipstone.core.sources import write_changes

    with pytest.raises(SourceError, match=r"b\.py has changed since it was read, nothing is written"):
        write_changes(changes)
    assert first.read_bytes() == b"a = 1\n"
    assert second.read_bytes() == b"b = 3\n"


def test_names_that_git_quotes(net, tmp_path, capsysbinary):
    for name in ('a "b".py', "tab\there.py", "sp ace.py", "naïve.py"):
        (tmp_path / name).write_text(NET)
        assert run(["check", f"{name}:Net", "-i", "3x8x8", "--diff"]) == 1
        out = capsysbinary.readouterr().out
        subprocess.run(["git", "apply", "-"], input=out, check=True)
        assert (tmp_path / name).read_text() == MENDED


def test_nothing_is_left_behind_by_a_patch_that_is_only_shown(net, capsys):
    import linecache
    import sys

    assert run([*CHECK, "--diff"]) == 1
    assert not any("net.py" in name for name in linecache.cache if linecache.cache[name][1] is None)
    assert not any(type(finder).__name__ == "_RehearsedFinder" for finder in sys.meta_path)


# ---- baselines


def test_the_baseline_that_pyproject_names_can_be_written_first_and_again(net, tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text('[tool.skipstone]\nbaseline = "known.json"\n')
    command = [*CHECK, "--write-baseline", "known.json"]
    assert run(command) == 0
    first = (tmp_path / "known.json").read_text()
    assert first.count('"code"') == 2
    assert run(command) == 0
    assert (tmp_path / "known.json").read_text() == first
    assert run(CHECK) == 0
