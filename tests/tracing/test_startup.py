"""Torch's compiler is left out of a recording process until something asks for it, and is whole when it does."""

import subprocess
import sys

_NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.a(x)
"""


def _run(program, folder):
    (folder / "net.py").write_text(_NET)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_check_from_the_shell_loads_no_compiler(tmp_path):
    program = (
        "import sys\nfrom skipstone import cli\nsys.argv = ['skipstone', 'check', 'net.py:Net', '-i', '3x8x8']\n"
        "try:\n    cli.main()\nexcept SystemExit as done:\n    assert done.code == 0, done.code\n"
        "loaded = [name for name in sys.modules if name.startswith('torch._dynamo.')]\n"
        "assert loaded in ([], ['torch._dynamo.config']), loaded\n"
    )
    assert "1 skip (1 identity)" in _run(program, tmp_path)


def test_the_compiler_still_works_after_a_recording(tmp_path):
    program = (
        "from skipstone.tracing.startup import postpone_dynamo\npostpone_dynamo()\n"
        "import sys, torch, skipstone\nsys.path.insert(0, '.')\nfrom net import Net\n"
        "model = Net()\nassert len(skipstone.find_skips(model, (2, 3, 8, 8))) == 1\n"
        "x = torch.randn(2, 3, 8, 8)\n"
        "compiled = torch.compile(model, backend='eager', fullgraph=True)\n"
        "assert torch.equal(compiled(x), model(x))\n"
        "assert type(sys.modules['torch._dynamo']).__name__ == 'module'\n"
        "assert len(skipstone.find_skips(model, (2, 3, 8, 8))) == 1\nprint('compiled')\n"
    )
    assert _run(program, tmp_path) == "compiled\n"


def test_a_compiler_that_is_loaded_already_stays(tmp_path):
    program = (
        "import sys, torch._dynamo\nfrom skipstone.tracing.startup import postpone_dynamo\n"
        "before = sys.modules['torch._dynamo']\npostpone_dynamo()\nassert sys.modules['torch._dynamo'] is before\n"
    )
    assert _run(program, tmp_path) == ""
