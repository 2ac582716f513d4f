"""On a torch that was never tested, a known network is recorded; what differs is said once, in one line."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

import skipstone
from skipstone.core.errors import UntestedTorchWarning
from skipstone.sizes.selftest import sizes_differ
from skipstone.tracing import selftest
from skipstone.tracing.torch_internals import TESTED


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.a(x)


@pytest.fixture
def untested(monkeypatch):
    monkeypatch.setattr(selftest, "TESTED", ((1, 0), (1, 13)))
    monkeypatch.setattr(selftest, "_done", set())


def test_the_known_network_comes_out_as_known():
    assert selftest.records_differ(skipstone.trace) is None
    assert sizes_differ(skipstone.legal_sizes) is None


def test_which_versions_are_tested():
    newest = ".".join(map(str, TESTED[1]))
    assert selftest.is_tested(torch.__version__)
    assert selftest.is_tested(f"{newest}.7+cu130")
    assert selftest.is_tested("2.6.0")
    assert not selftest.is_tested("2.5.1")
    assert not selftest.is_tested(f"{TESTED[1][0]}.{TESTED[1][1] + 1}.0.dev20270101")
    assert not selftest.is_tested("3.0.0a0+git")
    assert not selftest.is_tested("unknown")


def test_an_untested_torch_that_records_as_known_is_not_mentioned(untested):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skipstone.trace(Net(), (2, 3, 8, 8))
        skipstone.legal_sizes(Net(), (2, 3, "h", 8), h=range(1, 5))
    assert selftest._done == {"the records", "the legal sizes"}


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("skipstone.tracing.recorder.version", "'sigmoid 7 2,3,4,4 - g' where 'relu 7 2,3,4,4 act gw'"),
        ("skipstone.tracing.recorder.saving_hooks", "'refused backward"),
        ("skipstone.tracing.fakes.mark_parameter", "'buffer - 3,3,3,3 conv g' where 'parameter - 3,3,3,3 conv g'"),
    ],
)
def test_records_that_differ_are_said_once(place, reason, untested, monkeypatch):
    monkeypatch.setattr(place, lambda *_: 0)
    with pytest.warns(UntestedTorchWarning, match=reason) as caught:
        skipstone.trace(Net(), (2, 3, 8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skipstone.trace(Net(), (2, 3, 8, 8))
    (warning,) = caught
    assert str(warning.message).count("\n") == 0
    assert f"torch {torch.__version__} was never tested" in str(warning.message)
    assert warning.filename == __file__


def test_a_self_test_that_fails_says_why(untested, monkeypatch):
    def gone(*_):
        raise AttributeError("no such thing\nany more")

    monkeypatch.setattr(selftest, "lines", gone)
    with pytest.warns(UntestedTorchWarning, match=r"\(AttributeError: no such thing\)"):
        skipstone.trace(Net(), (2, 3, 8, 8))


def test_sizes_that_differ_are_said(untested, monkeypatch):
    monkeypatch.setattr("skipstone.sizes.selftest._KNOWN", (4,))
    with pytest.warns(UntestedTorchWarning, match="the legal sizes of a known network differ"):
        skipstone.legal_sizes(Net(), (2, 3, "h", 8), h=range(1, 5))


def test_the_command_says_it_in_one_line_on_stderr(tmp_path):
    program = (
        "import sys\nfrom skipstone import cli\nfrom skipstone.tracing import selftest\n"
        "selftest.TESTED = ((1, 0), (1, 13))\nselftest.KNOWN = 'nothing'\n"
        "sys.argv = ['skipstone', 'check', 'net.py:Net', '-i', '3x8x8']\ncli.main()\n"
    )
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.Conv2d(3, 3, 1)\n\n    def forward(self, x):\n        return x + self.a(x)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"skipstone: torch {torch.__version__} was never tested with skipstone (1.0 to 1.13")
    assert "1 skip" in done.stdout
