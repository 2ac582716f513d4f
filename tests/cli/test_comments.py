"""Comments that silence a finding, and those that were meant to and can't be read."""

import json

import pytest

from skipstone.cli import run

NET = """from torch import nn


class Bad(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return x + self.a(x)  COMMENT
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(comment):
        (tmp_path / "net.py").write_text(NET.replace("COMMENT", comment))

    return write


@pytest.mark.parametrize(
    "comment", ["# skipstone: ignore", "# skipstone: ignore[SK102]", "#skipstone:ignore[SK2, sk1]  # meant"]
)
def test_a_comment_silences(net, capsys, comment):
    net(comment)
    assert run(["check", "net.py:Bad", "-i", "3x8x8"]) == 0
    assert "1 silenced by comments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# skipstone: ignore[SK999]", "unknown code 'SK999'"),
        ("# skipstone: ignore[SK102", "is not understood; write # skipstone: ignore[SK201]"),
        ("# skipstone: ignore SK102", "is not understood"),
        ("# skipstone: ignored[SK102]", "is not understood"),
        ("# skipstone: ignore[]", "unknown code ''"),
    ],
)
def test_one_that_cannot_be_read_is_a_warning_with_its_place_and_silences_nothing(net, capsys, comment, said):
    net(comment)
    assert run(["check", "net.py:Bad", "-i", "3x8x8"]) == 1
    out = capsys.readouterr().out
    assert f"warning: net.py:10: comment {comment!r}" in out
    assert said in out
    assert "SK102  error" in out
    assert run(["check", "net.py:Bad", "-i", "3x8x8", "--format", "json"]) == 1
    assert said in json.loads(capsys.readouterr().out)["remarks"][0]
