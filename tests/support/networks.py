"""Small layers and blocks that tests of several rules build their networks from."""

import torch.nn.functional as F
from torch import nn


def conv(cin, cout, kernel=3, stride=1):
    """A convolution that keeps the size at stride 1."""
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2)


def mlp(d=16):
    """The feed-forward part of a transformer block: (..., d) -> (..., d)."""
    return nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))


class Attention(nn.Module):
    """Self-attention of one head: (batch, tokens, d) -> (batch, tokens, d)."""

    def __init__(self, d=16):
        super().__init__()
        self.q = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)

    def forward(self, x):
        q, k, v = self.q(x).chunk(3, -1)
        return self.o(F.scaled_dot_product_attention(q, k, v))


class Residual(nn.Module):
    """x + branch(x), through a shortcut module if there is one."""

    def __init__(self, branch, shortcut=None):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


def drop_path(x, p, shape, scale=True, training=True):
    """Stochastic depth with a mask of `shape`: entries dropped with probability p, the others rescaled if asked."""
    if not training or p == 0:
        return x
    m = x.new_empty(shape).bernoulli_(1 - p)
    if scale:
        m.div_(1 - p)
    return x * m


def convs(width=16):
    """Two convolutions with a ReLU between, as the branch of a residual."""
    return conv(width, width), nn.ReLU(), conv(width, width)
