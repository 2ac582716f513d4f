"""Small networks with one fault each, and their right twins, by the rule that must tell them apart."""

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """x + branch(x), through a shortcut module if there is one."""

    def __init__(self, branch, shortcut=None):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class UNet(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.down, self.low = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 1, 1)

    def forward(self, x):
        skip = self.down(x)
        low = self.up(self.low(F.max_pool2d(skip, 2)))
        return self.out(torch.cat([low, skip], 1))


class Dense(nn.Module):
    def __init__(self, width, dim=1):
        super().__init__()
        self.a, self.b, self.dim = nn.Linear(8, 8), nn.Linear(width, 4), dim

    def forward(self, x):
        return self.b(torch.cat([x, self.a(x)], self.dim))


class Fuse(nn.Module):
    def __init__(self, flat):
        super().__init__()
        self.image, self.vector, self.flat = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(3, 4), flat
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        pooled = F.adaptive_avg_pool2d(self.image(x), 1)
        pooled = pooled.flatten(1) if self.flat else pooled
        return self.head(torch.cat([pooled, self.vector(x.mean((2, 3)))], -1))


class Tile(nn.Module):
    def __init__(self, axes):
        super().__init__()
        self.conv, self.axes = nn.Conv2d(6, 3, 1), axes

    def forward(self, x):
        v = x.mean((2, 3))
        v = v[:, :, None, None] if self.axes else v
        return self.conv(torch.cat([x, v.expand(-1, -1, x.shape[2], x.shape[3])], 1))


class Tokens(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.patch, self.table = nn.Conv2d(3, 8, 4, stride=4), nn.Parameter(torch.zeros(1, count, 8))

    def forward(self, x):
        return self.patch(x).flatten(2).transpose(1, 2) + self.table


class Inplace(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 3, 3, padding=1), last

    def forward(self, x):
        y = self.last(self.conv(x))
        y += x
        return y


class Cross(nn.Module):
    def forward(self, x):
        return torch.linalg.cross(x, 2 * x)


class Sized(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        if x.shape[-1] != self.size:
            raise ValueError(f"expected images of {self.size} pixels, got {x.shape[-1]}")
        return x


def conv(*args, **kwargs):
    return nn.Conv2d(*args, padding=1, **kwargs)


IMAGE = (2, 3, 9, 9)
# Rule -> (the network it must find fault with, its right twin, their input).
ERRORS = {
    "channel-mismatch": (lambda: Residual(conv(3, 8, 3)), lambda: Residual(conv(3, 8, 3), nn.Conv2d(3, 8, 1)), IMAGE),
    "spatial-mismatch": (
        lambda: Residual(conv(3, 3, 3, stride=2), nn.AvgPool2d(2)),
        lambda: Residual(conv(3, 3, 3, stride=2), nn.AvgPool2d(2, ceil_mode=True)),
        IMAGE,
    ),
    "wrong-width": (lambda: Dense(8), lambda: Dense(16), (2, 8)),
    "rank-mismatch": (lambda: Fuse(False), lambda: Fuse(True), IMAGE),
    "reshape-mismatch": (lambda: Tile(False), lambda: Tile(True), IMAGE),
    "fixed-table": (lambda: Tokens(16), lambda: Tokens(4), (2, 3, 8, 8)),
    "too-small": (
        lambda: nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(4)),
        lambda: nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(2)),
        IMAGE,
    ),
    "one-value-per-channel": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3)),
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(3)),
        (1, 3, 9, 9),
    ),
    "inplace-saved": (lambda: Inplace(nn.ReLU()), lambda: Inplace(nn.BatchNorm2d(3)), IMAGE),
    "refused-operation": (
        lambda: nn.Sequential(nn.Linear(4, 8), Cross()),
        lambda: nn.Sequential(nn.Linear(4, 3), Cross()),
        (2, 4),
    ),
    "own-error": (lambda: Sized(8), lambda: Sized(9), IMAGE),
}
