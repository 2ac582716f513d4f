"""ReshapeMismatch"""

import torch
from torch import nn

from contract import ErrorContract


class Tile(nn.Module):
    def __init__(self, axes):
        super().__init__()
        self.conv, self.axes = nn.Conv2d(6, 3, 1), axes

    def forward(self, x):
        v = x.mean((2, 3))
        v = v[:, :, None, None] if self.axes else v
        return self.conv(torch.cat([x, v.expand(-1, -1, x.shape[2], x.shape[3])], 1))


class TestReshapeMismatch(ErrorContract):
    rule = "reshape-mismatch"
    shape = (2, 3, 9, 9)

    def broken(self):
        return Tile(False)

    def right(self):
        return Tile(True)
