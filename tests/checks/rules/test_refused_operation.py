"""RefusedOperation"""

import torch
from torch import nn

from contract import ErrorContract


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
