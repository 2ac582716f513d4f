"""WrongWidth"""

import time

import torch
from torch import nn

from contract import ErrorContract, run
from skipstone import surgery
from skipstone.checks import check


class Dense(nn.Module):
    def __init__(self, width, dim=1):
        super().__init__()
        self.a, self.b, self.dim = nn.Linear(8, 8), nn.Linear(width, 4), dim

    def forward(self, x):
        return self.b(torch.cat([x, self.a(x)], self.dim))


class TestWrongWidth(ErrorContract):
    rule = "wrong-width"
    shape = (2, 8)

    def broken(self):
        return Dense(8)

    def right(self):
        return Dense(16)


class Layer(nn.Module):
    def __init__(self, width, growth=4):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), nn.Conv2d(width, growth, 3, padding=1)

    def forward(self, x):
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def unhalved(layers=3):
    """A transition halves 16 channels, and the dense block behind it counts on from 16."""
    block = [Layer(16 + 4 * i) for i in range(layers)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 1), *block)


def test_one_width_set_wrong_is_one_finding_with_one_repair():
    model = unhalved()
    (finding,) = check(model, (2, 3, 8, 8)).errors
    assert finding.module == "2.norm"
    assert finding.notes[0].startswith("the features come from 1: Conv2d(k1)")
    assert finding.notes[1] == "the same 8 at 2.conv, 3.norm, 3.conv, 4.norm and 1 more"
    first, second = finding.repairs[:2]
    assert first.title == "1 = nn.Conv2d(in_channels=16, out_channels=16, kernel_size=1)"
    assert len(second.edits) == 6  # every layer of the block
    for repair in (first, second):
        run(repair.apply(model), (2, 3, 8, 8))


def test_two_widths_set_wrong_are_two_findings():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(6, 8), nn.Linear(9, 2))
    assert [f.module for f in check(model, (2, 4)).errors] == ["1", "2"]


def test_a_block_of_many_layers_is_told_in_two_seconds():
    started = time.perf_counter()
    (finding,) = check(unhalved(24), (2, 3, 8, 8)).errors
    assert finding.repairs
    assert time.perf_counter() - started < 20  # two on an idle machine


class Residual(nn.Module):
    def __init__(self, inner=16, given=16):
        super().__init__()
        self.a, self.b = nn.Conv2d(16, inner, 3, padding=1), nn.Conv2d(given, 16, 3, padding=1)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


def test_a_design_written_once_is_one_finding_at_all_its_places():
    model = nn.Sequential(*(Residual(given=24) for _ in range(16)))
    (finding,) = check(model, (2, 16, 8, 8), sizes=False).errors
    assert "the same in 1.b, 2.b, 3.b, 4.b and 11 more" in finding.notes
    assert len(finding.repairs[0].edits) == 16
    mended = surgery.apply(model, finding.repairs[0].edits)
    assert mended(torch.zeros(2, 16, 8, 8)).shape == (2, 16, 8, 8)


def test_two_slips_of_one_design_are_two_findings():
    model = nn.Sequential(Residual(given=24), Residual(given=24), Residual(given=20))
    first, second = check(model, (2, 16, 8, 8), sizes=False, repairs=False).errors
    assert "the same in 1.b" in first.notes
    assert second.module == "2.b"


class Grown(nn.Module):
    """A dense layer, made for `width` channels."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x):
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def test_a_design_that_is_off_by_other_numbers_each_time_is_one_finding():
    """Four channels more a layer arrive, and each is made for two more; some of them nothing made but the input."""
    model = nn.Sequential(*(Grown(8 + 2 * i) for i in range(5)))
    (finding,) = check(model, (2, 8, 8, 8), sizes=False).errors
    assert finding.module == "1.norm"
    assert "the same 2 at 1.conv" in finding.notes
    assert "likewise in 2.norm, 3.norm, 4.norm" in finding.notes
    (repair,) = finding.repairs[:1]
    assert repair.title.endswith("and 3 more so")
    assert len(repair.edits) == 8
    run(repair.apply(model), (2, 8, 8, 8))


def test_a_decoder_tied_to_its_encoder_reads_the_weight_the_other_way_round():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(12, 5)

        def forward(self, x):
            return nn.functional.linear(self.encoder(x), self.encoder.weight)

    (finding,) = check(Tied(), (2, 12)).errors
    assert finding.repairs[0].title == "encoder.weight.t() as the weight"
    assert not any("encoder = " in repair.title for repair in finding.repairs)
    run(finding.repairs[0].apply(Tied()), (2, 12))
