"""WrongWidth"""

import torch
from torch import nn

from contract import ErrorContract


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
