"""Twenty small networks: their legal sizes from 1 to 64 are those of real runs of every size."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone import legal_sizes

SIZES = range(1, 65)
SEQUENCE, IMAGE = (2, "h", 8), (2, 4, "h", "h")


class Of(nn.Module):
    def __init__(self, shape, function, **parts):
        super().__init__()
        self.shape, self.function = shape, function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def conv(kernel=3, stride=1, padding=0, dilation=1, c=4, out=4):
    return nn.Conv2d(c, out, kernel, stride, padding, dilation)


def up(kernel=2, stride=2, padding=0, output_padding=0):
    return nn.ConvTranspose2d(4, 4, kernel, stride, padding, output_padding)


def places(x):
    return torch.arange(x.shape[1])


def swin(m, x):
    """Windows of 4 on a padded map, rolled, a table of relative positions within them."""
    n, c, h, w = x.shape
    y = torch.roll(F.pad(x, (0, -w % 4, 0, -h % 4)), (-2, -2), (2, 3))
    t = y.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).transpose(1, 3).flatten(0, 2).transpose(1, 2)
    i = torch.arange(16)
    t = torch.softmax(t @ t.transpose(1, 2) + m.table[i[:, None] - i[None] + 15], -1) @ t
    y = t.reshape(n, y.shape[3] // 4, y.shape[2] // 4, 4, 4, c).permute(0, 5, 2, 3, 1, 4).reshape(y.shape)
    return x + torch.roll(y, (2, 2), (2, 3))[:, :, :h, :w]


def levels(m, x):
    """Three levels down and up, joined by concatenation; each halving must come out even."""
    a = m.a(x)
    b = m.b(F.max_pool2d(a, 2))
    c = m.c(F.max_pool2d(b, 2))
    b = m.mix(torch.cat([F.interpolate(c, scale_factor=2.0), b], 1))
    return torch.cat([F.interpolate(b, scale_factor=2.0), a], 1)


def pyramid(m, x):
    c1 = m.a(x)
    c2 = m.b(c1)
    return c1 + F.interpolate(c2, size=c1.shape[-2:]), c2


def attention(m, x):
    """Queries at every place, keys at every second, as convolutional transformers have them."""
    n, c, h, w = x.shape
    q, k = m.q(x).flatten(2).transpose(1, 2), m.k(x).flatten(2)
    return x + (torch.softmax(q @ k, -1) @ k.transpose(1, 2)).transpose(1, 2).reshape(n, c, h, w)


def guarded(m, x):
    if x.shape[-1] % 8:
        raise ValueError("a multiple of 8")
    return m.a(x) + x


def unpooled(m, x):
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    return x + F.max_unpool2d(m.a(y), indices, 2)


# name: (network, whether every size that runs is legal, or some rest on an accidental broadcast)
NETWORKS = {
    "halved and doubled": Of(IMAGE, lambda m, x: x + m.b(m.a(x)), a=conv(3, 2, 1), b=up()),
    "odd sizes": Of(IMAGE, lambda m, x: x + m.b(m.a(x)), a=conv(3, 2, 1), b=up(3, 2, 1)),
    "pooled by 3, resized by 3": Of(IMAGE, lambda m, x: x + F.interpolate(F.max_pool2d(x, 3), scale_factor=3.0)),
    "even kernel": Of(IMAGE, lambda m, x: x + m.b(m.a(x)), a=conv(2, 1, 1), b=conv(2)),
    "dilated": Of(IMAGE, lambda m, x: m.b(x) + m.a(x), a=conv(3, 2, 2, 2), b=conv(1, 2)),
    "valid, cropped": Of(IMAGE, lambda m, x: x[:, :, 2:-2, 2:-2] + m.b(m.a(x)), a=conv(), b=conv()),
    "ceil pool": Of(IMAGE, lambda m, x: m.a(x) + F.avg_pool2d(x, 2, ceil_mode=True), a=conv(3, 2, 1)),
    "three levels": Of(IMAGE, levels, a=conv(3, 1, 1), b=conv(3, 1, 1), c=conv(3, 1, 1), mix=conv(1, c=8)),
    "pyramid": Of(IMAGE, pyramid, a=conv(3, 2, 1), b=conv(3, 2, 1)),
    "windows": Of(IMAGE, swin, table=nn.Parameter(torch.zeros(31))),
    "convolutional attention": Of(IMAGE, attention, q=conv(3, 1, 1), k=conv(3, 2, 1)),
    "table of 5 x 5 patches": Of(
        IMAGE, lambda m, x: m.a(x).flatten(2).transpose(1, 2) + m.table, a=conv(4, 4, out=8),
        table=nn.Parameter(torch.zeros(1, 25, 8)),
    ),
    "positions": Of(SEQUENCE, lambda m, x: x + m.table(places(x)), table=nn.Embedding(20, 8)),
    "every second position": Of(SEQUENCE, lambda m, x: x + m.table(places(x) * 2), table=nn.Embedding(41, 8)),
    "relative positions": Of(
        SEQUENCE, lambda m, x: x @ x.mT + m.table[places(x)[:, None] - places(x)[None] + 11],
        table=nn.Parameter(torch.zeros(23)),
    ),
    "a guard": Of(IMAGE, guarded, a=conv(3, 1, 1)),
    "shuffled": Of(IMAGE, lambda m, x: x + F.pixel_shuffle(m.a(F.pixel_unshuffle(x, 3)), 3), a=conv(1, c=36, out=36)),
    "reflected": Of(IMAGE, lambda m, x: x + m.a(F.pad(x, (4, 4, 4, 4), "reflect")), a=conv(9)),
    "unpooled": Of(IMAGE, unpooled, a=conv(1)),
    "pooled to 7, flattened": Of(
        IMAGE, lambda m, x: m.fc(F.adaptive_avg_pool2d(m.a(x), 7).flatten(1)), a=conv(5, 3), fc=nn.Linear(196, 3)
    ),
}  # fmt: skip


def runs(model):
    legal = set()
    with torch.no_grad():
        for size in SIZES:
            try:
                model(torch.randn([size if axis == "h" else axis for axis in model.shape]))
            except (RuntimeError, ValueError, IndexError):
                continue
            legal.add(size)
    return legal


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_legal_sizes_are_those_that_run(name):
    model = NETWORKS[name].eval()
    report = legal_sizes(model, model.shape, h=SIZES)
    assert report.complete
    assert {*report.legal, *report.broadcast} == runs(model)
