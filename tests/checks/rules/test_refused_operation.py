"""RefusedOperation"""

import torch
from torch import nn

from contract import ErrorContract, run
from skipstone.checks import check


class Cross(nn.Module):
    def forward(self, x):
        return torch.linalg.cross(x, 2 * x)


class TestRefusedOperation(ErrorContract):
    rule = "refused-operation"
    shape = (2, 4)
    mends = False

    def broken(self):
        return nn.Sequential(nn.Linear(4, 8), Cross())

    def right(self):
        return nn.Sequential(nn.Linear(4, 3), Cross())


class Mixed(nn.Module):
    """A half-precision network that is given the features of a float branch."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 8, 1).bfloat16(), nn.Conv2d(8, 8, 1).bfloat16()
        self.control = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return self.body(self.stem(x.bfloat16()) + self.control(x)).float()


def test_a_layer_of_another_format_is_given_its_own():
    model = Mixed()
    (finding,) = check(model, torch.randn(2, 3, 8, 8)).errors
    assert (finding.rule, finding.module) == ("refused-operation", "body")
    assert finding.repairs[0].title == "x.to(torch.bfloat16) before body"
    run(finding.repairs[0].apply(model), (2, 3, 8, 8))


def test_an_output_padding_that_no_stride_makes_up_for():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 3, 3, 1, 1, output_padding=1))
    (finding,) = check(model, (2, 3, 8, 8)).errors
    assert finding.repairs[0].title == "1: stride=(2, 2)"
    assert finding.repairs[0].apply(model)(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 8, 8)
