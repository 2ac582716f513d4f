"""Some hundred commands that cannot run: each says so in one line, with status 2; and settings that cannot be used."""

import subprocess

import pytest

import bad_commands
from skipstone.cli import run

COMMANDS = list(bad_commands.commands())
SAMPLE = COMMANDS[::45]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    bad_commands.prepare(folder)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def name(command):
    return " ".join(command)[:60].encode("unicode_escape").decode()


def refused(command, capsys):
    status = run(list(command))
    return bad_commands.wrong(status, capsys.readouterr().err)


@pytest.mark.parametrize("command", SAMPLE, ids=name)
def test_a_sample(command, capsys):
    assert refused(command, capsys) is None


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in SAMPLE], ids=name)
def test_every_command(command, capsys):
    assert refused(command, capsys) is None


@pytest.mark.parametrize("text", bad_commands.SETTINGS)
def test_settings(text, folder, capsys):
    (folder / "pyproject.toml").write_text(text)
    try:
        assert refused(bad_commands.with_settings(text), capsys) is None
    finally:
        (folder / "pyproject.toml").unlink()


def test_it_can_fail(capsys):
    assert refused(("check", "net.py:Net", "-i", "3x8x8"), capsys) == "status 0, expected 2"
    assert "expected one line" in bad_commands.wrong(2, "")
    assert "a fault of skipstone's own" in bad_commands.wrong(2, "skipstone: skipstone failed, and ...\n")
