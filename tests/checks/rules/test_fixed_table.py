"""FixedTable"""

import torch
from torch import nn

from contract import ErrorContract


class Tokens(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.patch, self.table = nn.Conv2d(3, 8, 4, stride=4), nn.Parameter(torch.zeros(1, count, 8))

    def forward(self, x):
        return self.patch(x).flatten(2).transpose(1, 2) + self.table


class TestFixedTable(ErrorContract):
    rule = "fixed-table"
    shape = (2, 3, 8, 8)

    def broken(self):
        return Tokens(16)

    def right(self):
        return Tokens(4)
