import re
import subprocess
import sys

import pytest

from skipstone.cli import demo
from skipstone.experiments import read_comparison

BROKEN = {"TwoConvResidual", "ResNetBlock(64, 128)", "ResidualBlock(16, 32)", "DeepCNN"}


def test_four_of_the_tutorials_networks_are_broken_and_shown_in_full(capsys):
    demo._check_tutorials()
    text = capsys.readouterr().out
    summaries = {
        s.name: next(line for line in text.splitlines() if line.startswith(f"  {s.name} ")) for s in demo.SPECIMENS
    }
    assert {name for name, line in summaries.items() if re.search(r"\d error", line)} == BROKEN
    shown = re.findall(r"^(\S.*), input \(", text, re.MULTILINE)
    assert set(shown) == BROKEN
    assert "cannot add 32x32 to 11x11" in text
    assert "64 channels to 128 channels" in text
    assert "made for 2048 features and meets 8192" in text


@pytest.mark.slow
def test_the_whole_demo(tmp_path):
    """About a minute and a half of two cores."""
    command = [sys.executable, "-m", "skipstone.cli", "demo", "--out", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert f"3. The report: {tmp_path / 'demo' / 'report.html'}" in done.stdout
    comparison = read_comparison(tmp_path / "demo")
    assert [group.label for group in comparison.groups] == list(demo.MODELS)
    assert all(group.seeds == (0, 1, 2) for group in comparison.groups)
    # Measured: 47 +- 3 % and 97.8 +- 0.8 %.
    assert comparison.group("plain56").test_accuracy.mean < 0.7
    assert comparison.group("resnet56").test_accuracy.mean > 0.9
