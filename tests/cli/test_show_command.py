import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from skipstone.cli import run

NET = """
from torch import nn

class Block(nn.Module):
    def __init__(self, before, after, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.short = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.conv1(x))) + self.short(x))

class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), Block(width, width), Block(width, 2 * width, 2))

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 2, 1)

    def forward(self, x):
        return self.conv(x) + x
"""

DRAWN = """\
   layer            output         parameters  skips
   input0   input   (2, 3, 8, 8)
╭─ 0        Conv2d  (2, 8, 8, 8)          224
│  1.conv1  Conv2d  (2, 8, 8, 8)          576
│  1.relu   ReLU    (2, 8, 8, 8)
│  1.conv2  Conv2d  (2, 8, 8, 8)          576
╰▶ 1.add    add     (2, 8, 8, 8)               identity add, over 2 layers
╭─ 1.relu   ReLU    (2, 8, 8, 8)
│  2.conv1  Conv2d  (2, 16, 4, 4)       1,152
│  2.relu   ReLU    (2, 16, 4, 4)
│  2.conv2  Conv2d  (2, 16, 4, 4)       2,304
│  2.short  Conv2d  (2, 16, 4, 4)         128
╰▶ 2.add    add     (2, 16, 4, 4)              projection add, over 2 layers
   2.relu   ReLU    (2, 16, 4, 4)

2 skips: 1 identity add, 1 projection add; 4,960 parameters
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def test_show_golden(net, capsys):
    assert run(["show", f"{net}:Net", "--input", "3x8x8", "--width", "120"]) == 0
    assert "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n" == DRAWN


def test_show_writes_an_svg(net, tmp_path, capsys):
    assert run(["show", f"{net}:Net(4)", "--input", "3x8x8", "--svg", str(tmp_path / "net.svg")]) == 0
    assert f"drawing: {tmp_path / 'net.svg'}" in capsys.readouterr().out
    root = ET.parse(tmp_path / "net.svg").getroot()
    assert root.get("aria-label").endswith("6 layers with weights, 1 identity add, 1 projection add")


def test_show_marks_what_fails_and_says_so_in_its_status(net, capsys):
    assert run(["show", f"{net}:Broken", "--input", "3x8x8"]) == 1
    assert "FAILS: add of (2, 3, 4, 4) and (2, 3, 8, 8)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere.py:Net", "--input", "3x8x8"], "nowhere.py"),
        (["skipstone:resnet21", "--input", "3x8x8"], "nearest: 20, 26"),
        (["skipstone:resnet20", "--input", "3xx8"], "input '3xx8' is not understood"),
    ],
)
def test_show_could_not_run(arguments, text, capsys):
    assert run(["show", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_help_imports_no_torch():
    code = "import sys; from skipstone.cli import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    for command in ("show", "compare", "demo"):
        subprocess.run([sys.executable, "-c", code, command, "--help"], check=True, capture_output=True)
