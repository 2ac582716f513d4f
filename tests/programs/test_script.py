"""`skipstone run`: a program ends, prints and fails as under Python, and is explained where a network fails."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

HEAD = """
import sys, os
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.conv = nn.Conv2d(3, c, 3, padding=1)
        self.head = nn.Linear(c, 1)
    def forward(self, x):
        y = x + self.conv(x)
        return self.head(y.mean((2, 3)))
"""


def python(tmp_path, *arguments, ours=True, stdin="", env=None):
    command = [sys.executable, *(("-m", "skipstone", "run") if ours else ()), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(env or {})}
    return subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, input=stdin, env=environment, timeout=200
    )


def write(tmp_path, text, name="train.py"):
    (tmp_path / name).write_text(HEAD + textwrap.dedent(text) if "Net(" in text else textwrap.dedent(text))
    return name


PLAIN = {
    "its own arguments, stdin and status": (
        "import sys\nprint(sys.argv, __name__, __file__, sys.path[0], input())\nsys.exit(7)",
        ["--epochs", "3", "-h"],
    ),
    "an error of its own": ("def f():\n    raise KeyError('mine')\nf()", []),
    "a syntax error": ("x = (\n", []),
    "an interrupt": ("raise KeyboardInterrupt", []),
    "a message as status": ("import sys\nsys.exit('no data')", []),
    "an exception hook of its own": (
        "import sys\nsys.excepthook = lambda *a: print('mine', a[1])\nraise ValueError(3)",
        [],
    ),
    "an exception hook of its own over ours": (
        "import sys\nold = sys.excepthook\nsys.excepthook = lambda *a: (print('rank 0'), old(*a))\nraise ValueError(3)",
        [],
    ),
    "a spawned child": (
        """
        import multiprocessing, sys
        class A: pass
        def f(x): return type(A()).__module__, sys.argv
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(f, [1]))
        """,
        ["--x"],
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_program_without_a_network_runs_as_under_python(name, tmp_path):
    text, arguments = PLAIN[name]
    script = write(tmp_path, text)
    ours, theirs = (python(tmp_path, script, *arguments, ours=o, stdin="line\n") for o in (True, False))
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    assert ours.stderr == theirs.stderr


def test_a_module_runs_as_under_python(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("x = 3\n")
    (tmp_path / "pack" / "__main__.py").write_text(
        "import sys\nfrom . import x\nprint(sys.argv, x, __package__)\n1/0\n"
    )
    ours, theirs = (python(tmp_path, "-m", "pack", "a", "-b", ours=o) for o in (True, False))
    assert ours.returncode == theirs.returncode == 1
    assert ours.stdout == theirs.stdout
    assert ours.stderr.splitlines()[-4:] == theirs.stderr.splitlines()[-4:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.py"], "can't open file 'none.py'"),
        (["-m", "nothing.here"], "no module named 'nothing'"),
        (["--chek", "a.py"], "run has no option '--chek'"),
        ([], "run needs a program"),
    ],
)
def test_what_cannot_be_started_is_said_in_a_line(arguments, words, tmp_path):
    ended = python(tmp_path, *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_failing_forward_pass_is_explained_under_its_traceback(tmp_path):
    script = write(tmp_path, "print('begins')\nNet()(torch.zeros(4, 3, 8, 8))\n")
    ours, theirs = (python(tmp_path, script, ours=o) for o in (True, False))
    assert ours.returncode == theirs.returncode == 1
    assert ours.stdout == theirs.stdout == "begins\n"
    assert ours.stderr.startswith(theirs.stderr)
    said = ours.stderr[len(theirs.stderr) :]
    assert "skipstone: Net, called at train.py:14 with (4, 3, 8, 8)" in said
    assert "SK101" in said
    assert "--- a/train.py" in said


def test_threads_losses_and_checks_are_told_of(tmp_path):
    script = write(
        tmp_path,
        """
        import threading
        thread = threading.Thread(target=lambda: Net()(torch.zeros(1, 3, 8, 8)))
        thread.start(); thread.join()
        good = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
        for _ in range(3):
            nn.MSELoss()(good(torch.zeros(4, 3, 2, 2)), torch.zeros(4)).backward()
        class Wrong(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)
            def forward(self, x):
                y = self.act(x)
                return x + self.a(y)
        wrong = Wrong()
        for _ in range(2):
            wrong(torch.ones(2, 3, 4, 4) * 1.0)
        sys.exit(5)
        """,
    )
    ended = python(tmp_path, "--check", script)
    assert ended.returncode == 5
    assert "SK101" in ended.stderr
    assert "mse_loss at train.py:19 was given outputs (4, 1) and targets (4,)" in ended.stderr
    assert ended.stderr.count("skipstone: Wrong") == 1
    assert "overwr" in ended.stderr
    assert "skipstone: Sequential" in ended.stderr
    plain = python(tmp_path, script)
    assert "mse_loss" in plain.stderr
    assert "skipstone: Wrong" not in plain.stderr


def test_torch_reads_the_environment_that_the_program_sets(tmp_path):
    script = write(
        tmp_path,
        """
        import os, sys
        assert "torch" not in sys.modules
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch
        print(torch.get_num_threads())
        """,
    )
    ended = python(tmp_path, script, env={"OMP_NUM_THREADS": "2"})
    assert ended.stdout == "1\n", ended.stderr


def test_an_interrupt_from_outside_ends_it_as_python_is_ended(tmp_path):
    script = write(tmp_path, "import time\nprint('sleeps', flush=True)\ntime.sleep(60)\n")
    ended = []
    for ours in (True, False):
        command = [sys.executable, *(("-m", "skipstone", "run") if ours else ()), script]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout.readline() == "sleeps\n"
        time.sleep(1)  # on into its sleep
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        ended.append((process.returncode, errors))
    assert ended[0] == ended[1]


@pytest.mark.slow
def test_a_training_under_the_watch_is_bit_equal(tmp_path):
    script = write(
        tmp_path,
        """
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(288, 5)
        net = nn.Sequential(*layers)
        optimizer = torch.optim.Adam(net.parameters())
        for step in range(20):
            loss = nn.functional.cross_entropy(net(torch.randn(4, 3, 8, 8)), torch.randint(5, (4,)))
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        print(loss.item().hex(), sum(p.double().sum() for p in net.parameters()).item().hex())  # Net(
        """,
    )
    outputs = {
        python(tmp_path, *flags, script, ours=ours).stdout
        for flags, ours in (((), True), (("--check",), True), ((), False))
    }
    assert len(outputs) == 1
    assert "0x" in outputs.pop()
