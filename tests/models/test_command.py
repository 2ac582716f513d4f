"""`skipstone models`: what it prints, and that listing is quick."""

import json
import subprocess
import sys

import pytest

from skipstone import cli, models
from skipstone.core.cost import Cost
from skipstone.models import costs


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run(["models", *arguments]) == 0
    return capsys.readouterr().out


def test_lists_every_network(capsys: pytest.CaptureFixture[str]):
    text = output(capsys)
    assert set(models.names()) <= set(text.split())
    assert all(family.form in text for family in models.families())


def test_listing_imports_no_torch():
    code = "import sys; from skipstone.cli import run; sys.exit(run(['models']) or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_page_of_one_network(capsys: pytest.CaptureFixture[str]):
    text = output(capsys, "wrn28_10")
    assert text.startswith("wrn28_10    wide pre-activation networks, depth 6n+4\n")
    assert "paper    Zagoruyko 2016, arXiv 1605.07146" in text
    assert "    dropout = 0.0\n" in text


def test_costs_are_the_closed_forms(capsys: pytest.CaptureFixture[str]):
    text = output(capsys, "resnet20", 'resnet20(shortcut="B")', "--costs")
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["network", "input", "parameters", "multiply-adds", "activation", "bytes"]
    assert rows[1][:4] == ["resnet20", "3x32x32", "269,722", "40,551,040"]
    assert rows[2][:4] == ['resnet20(shortcut="B")', "3x32x32", "272,474", "40,813,184"]


def test_costs_as_json(capsys: pytest.CaptureFixture[str]):
    (row,) = json.loads(output(capsys, "densenet40_12", "--costs", "--format", "json"))
    assert (row["num_parameters"], row["macs"]) == (1_019_722, 264_812_928)
    assert row["input_shape"] == [3, 32, 32]


def test_patterns_choose(capsys: pytest.CaptureFixture[str]):
    chosen = [row["name"] for row in json.loads(output(capsys, "plain?6", "dense56", "--format", "json"))]
    assert chosen == ["plain56", "dense56"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["resnt20"], "skipstone: unknown network 'resnt20'; nearest: resnet20"),
        (["vit*"], "skipstone: unknown network 'vit*'"),
        (["resnet20(widht=8)", "--costs"], "skipstone: unknown option of resnet20 'widht'; nearest: width"),
        (["resnet21", "--costs"], "skipstone: no resnet of depth 21"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str):
    assert cli.run(["models", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_costs_of_a_network_for_other_images():
    assert costs("plain8", in_channels=1, width=1, input_shape=(1, 4, 4)).macs == (
        9 * 16 * 3 + (9 * 2 + 9 * 4) * 4 + (9 * 8 + 9 * 16) * 1 + 40
    )
    assert costs("plain8", in_channels=1) == costs("plain8", in_channels=1, input_shape=(1, 32, 32))
    assert isinstance(costs("plain8"), Cost)
