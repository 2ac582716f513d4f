"""`skipstone sizes`."""

import json

from skipstone.cli import run

NETWORK = """
import torch
from torch import nn

class Half(nn.Module):
    def forward(self, x):
        return x + nn.functional.interpolate(nn.functional.max_pool2d(x, 2), scale_factor=2)

class Never(nn.Module):
    def forward(self, x):
        raise ValueError("never")
"""


def test_text(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    assert run(["sizes", f"{tmp_path}/net.py:Half", "--input", "3xHxH", "--range", "1:65"]) == 0
    text = capsys.readouterr().out
    assert "even h  (32 of 1..64)" in text
    assert "method" in text


def test_json_ranges_and_several_axes(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    status = run(
        ["sizes", f"{tmp_path}/net.py:Half", "-i", "N,3,H,8", "--range", "1:9", "--range", "h=2:21", "-f", "json"]
    )
    axes = {axis["symbol"]: axis for axis in json.loads(capsys.readouterr().out)["axes"]}
    assert status == 0
    assert axes["n"]["legal"] == list(range(1, 9))
    assert axes["h"]["legal"] == list(range(2, 21, 2))


def test_no_legal_size_is_a_finding(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    assert run(["sizes", f"{tmp_path}/net.py:Never", "--input", "3xHxH"]) == 1
    assert "ValueError: never" in capsys.readouterr().out


def test_wrong_questions(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    target = f"{tmp_path}/net.py:Half"
    for arguments, text in (
        (["--input", "3x8x8"], "has no free axis"),
        (["--input", "3xHxH", "--range", "9:3"], "range '9:3' is not understood"),
        (["--input", "3,Hx8"], "input '3,Hx8' is not understood"),
        (["--input", "3xHxH", "--range", "w=1:3"], "a range is given for w"),
    ):
        assert run(["sizes", target, *arguments]) == 2
        assert text in capsys.readouterr().err
