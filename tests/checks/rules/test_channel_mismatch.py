"""ChannelMismatch"""

import torch
from torch import nn

from contract import ErrorContract
from networks import Residual, conv
from skipstone.checks import check

IMAGE = (2, 3, 9, 9)


class TestChannelMismatch(ErrorContract):
    rule = "channel-mismatch"
    shape = IMAGE

    def broken(self):
        return Residual(conv(3, 8))

    def right(self):
        return Residual(conv(3, 8), nn.Conv2d(3, 8, 1))


def test_one_fault_behind_another_gives_two_findings():
    model = nn.Sequential(Residual(conv(3, 8)), Residual(conv(8, 16)))
    assert [f.rule for f in check(model, IMAGE, repairs=False, sizes=False).errors] == [
        "channel-mismatch",
        "channel-mismatch",
    ]


def test_one_fault_gives_one_finding():
    # Behind the addition everything is made for 8 channels: assuming the identity's 3 would raise a second finding.
    model = nn.Sequential(Residual(conv(3, 8)), conv(8, 8), nn.BatchNorm2d(8))
    assert len(check(model, IMAGE, repairs=False, sizes=False).errors) == 1


def test_a_wider_branch_of_tokens_is_brought_back_to_the_stream():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstms = nn.ModuleList(nn.LSTM(8, 8, batch_first=True, bidirectional=True) for _ in range(2))

        def forward(self, x):
            for lstm in self.lstms:
                x = x + lstm(x)[0]
            return x

    (finding,) = check(Both(), (2, 5, 8)).errors
    repair = finding.repairs[0]
    assert repair.title == "nn.Linear(in_features=16, out_features=8) on the branch, and 1 more so"
    assert repair.apply(Both())(torch.randn(2, 5, 8)).shape == (2, 5, 8)
