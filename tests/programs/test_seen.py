"""What a file's own program shows of its classes, for `skipstone check file.py --run`."""

import sys
import textwrap

import pytest
from torch import nn

from skipstone.integrations.whole_file import networks_of
from skipstone.programs.seen import Seen, seen_in

PROGRAM = """
import sys
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, cin, cout, *, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride, 1)

    def forward(self, x):
        return x + self.conv(x)


class Two(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.a, self.b = nn.Linear(sizes[0], 4), nn.Embedding(9, sizes[1])

    def forward(self, x, ids):
        return self.a(x) + self.b(ids)


class Holds(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


if __name__ == "__main__":
    print("loud", sys.argv)
    Two([3, 4])(torch.zeros(8, 3), torch.zeros(8, dtype=torch.long))
    Block(3, 3)(torch.zeros(4, 3, 16, 16))
    END
"""


@pytest.fixture
def program(tmp_path):
    def write(end: str) -> str:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(PROGRAM).replace("END", end))
        return str(path)

    return write


def test_arguments_and_inputs_are_seen_where_they_are_used(program, capsys):
    before = nn.Module.__init__, nn.Module.__call__, list(sys.path), list(sys.argv)
    file = program("Block(3, 8, stride=2)(torch.zeros(2, 3, 15, 15))")
    seen, ended = seen_in(file, ["Block", "Two", "Holds"])
    assert seen == (
        Seen("Two", "([3, 4])", None),  # one of its inputs has no second axis
        Seen("Block", "(3, 3)", ("4,3,16,16",)),
        Seen("Block", "(3, 8, stride=2)", ("2,3,15,15",)),
    )
    assert "RuntimeError: The size of tensor a" in ended
    assert (nn.Module.__init__, nn.Module.__call__, list(sys.path), list(sys.argv)) == before
    assert "loud" not in capsys.readouterr().out


def test_a_program_that_goes_round_is_left(program):
    file = program("net = Block(3, 3)\n    while True: net(torch.zeros(4, 3, 16, 16))")
    seen, ended = seen_in(file, ["Block", "Two"])
    assert ended == ""
    assert Seen("Block", "(3, 3)", ("4,3,16,16",)) in seen


def test_one_that_takes_too_long_is_left(program):
    file = program("net = Block(3, 3)\n    while True: net(torch.zeros(4, 3, 16, 16))")
    assert seen_in(file, ["Block", "Holds"], seconds=0.2)[1] == ""


def test_networks_of_a_file_are_those_its_program_makes(program):
    file = program("Block(3, 8, stride=2)(torch.zeros(2, 3, 15, 15))")
    without = networks_of(file, (), "train")
    assert without.networks == ()
    found = networks_of(file, (), "train", run=True)
    jobs = {(n.job.target.rpartition(":")[2], n.job.inputs) for n in found.networks}
    assert ("Block(3, 3)", ("4,3,16,16",)) in jobs
    assert ("Block(3, 8, stride=2)", ("2,3,15,15",)) in jobs
    (missing,) = found.missing
    assert missing.startswith("Holds needs layer")
