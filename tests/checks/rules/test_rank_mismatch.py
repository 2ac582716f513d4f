"""RankMismatch"""

import torch
import torch.nn.functional as F
from torch import nn

from contract import ErrorContract


class Fuse(nn.Module):
    def __init__(self, flat):
        super().__init__()
        self.image, self.vector, self.flat = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(3, 4), flat
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        pooled = F.adaptive_avg_pool2d(self.image(x), 1)
        pooled = pooled.flatten(1) if self.flat else pooled
        return self.head(torch.cat([pooled, self.vector(x.mean((2, 3)))], -1))


class TestRankMismatch(ErrorContract):
    rule = "rank-mismatch"
    shape = (2, 3, 9, 9)

    def broken(self):
        return Fuse(False)

    def right(self):
        return Fuse(True)
