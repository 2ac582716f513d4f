"""OneValuePerChannel"""

from torch import nn

from contract import ErrorContract
from skipstone.checks import check


class TestOneValuePerChannel(ErrorContract):
    rule = "one-value-per-channel"
    shape = (1, 3, 9, 9)

    def broken(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))

    def right(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(3))


def test_a_batch_of_one_is_one_finding_for_all_norms():
    norms = [layer for _ in range(6) for layer in (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))]
    (finding,) = check(nn.Sequential(nn.AdaptiveAvgPool2d(1), *norms), (1, 3, 9, 9)).errors
    assert finding.notes == ("the same in 4, 6, 8, 10 and 1 more",)
    assert len(finding.repairs[0].edits) == 6
