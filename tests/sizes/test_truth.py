"""Legal sizes against real runs, for networks of many kinds; and the two methods against each other."""

from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipstone

NOTED = []  # merges of two different shapes in the current real run


def merge(a, b):
    if a.shape != b.shape:
        NOTED.append((a.shape, b.shape))
    return a + b


class Net(nn.Module):
    """A network of parts, run by a function."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


def two_convolutions(m, x):
    return merge(x, m.b(m.a(x)))


def unet(m, x):
    a = m.a(x)
    b = m.b(F.max_pool2d(a, 2))
    c = m.c(F.max_pool2d(b, 2))
    y = torch.cat([m.up2(c), b], 1)
    return torch.cat([m.up1(m.d(y)), a], 1)


def fitted_unet(m, x):
    a = m.a(x)
    y = F.interpolate(m.b(F.max_pool2d(a, 2)), scale_factor=2)
    if y.shape[-2:] != a.shape[-2:]:
        y = F.pad(y, (0, a.shape[-1] - y.shape[-1], 0, a.shape[-2] - y.shape[-2]))
    return torch.cat([y, a], 1)


def hourglass(m, x):
    low = F.max_pool2d(x, 2)
    lower = F.interpolate(m.b(F.max_pool2d(low, 2)), scale_factor=2, mode="bilinear")
    return merge(x, F.interpolate(merge(low, lower), scale_factor=2))


def pooled_shortcut(m, x):
    return merge(m.a(x), F.avg_pool2d(x, 2))


def gate(m, x):
    return x * torch.sigmoid(m.a(F.adaptive_avg_pool2d(x, 1)))


def fixed_window_gate(m, x):
    return x * torch.sigmoid(m.a(F.avg_pool2d(x, 8)))


def attention_by_channel_mean(m, x):
    return x * torch.sigmoid(m.a(x.mean(1, keepdim=True)))


def positions(m, x):
    t = m.a(x).flatten(2).transpose(1, 2)
    return torch.cat([m.token.expand(x.shape[0], -1, -1), t], 1) + m.table


def windows(m, x):
    b, n, d = x.shape
    k = n // 4
    y = m.attention(*[x[:, : k * 4].reshape(b * k, 4, d)] * 3)[0].reshape(b, k * 4, d)
    return merge(x, y)


def padded_windows(m, x):
    b, n, d = x.shape
    y = F.pad(x, (0, 0, 0, -n % 4)).reshape(-1, 4, d)
    return merge(x, m.a(y).reshape(b, -1, d)[:, :n])


def asserted(m, x):
    assert x.shape[-1] % 4 == 0, "a multiple of 4"
    assert x.shape[-1] >= 8
    return m.a(x)


def crop_to_smaller(m, x):
    y = m.a(x)
    n = min(x.shape[-1], y.shape[-1])
    return merge(x[..., :n, :n], y[..., :n, :n])


def cached_by_size(m, x):
    @lru_cache
    def factor(size):
        return size * 2

    table = {x.shape[-1]: 1.0}
    return m.a(x) * factor(x.shape[-1]) * table[x.shape[-1]]


def loop_over_rows(m, x):
    return sum(m.a(x[:, :, i : i + 1]) for i in range(min(x.shape[2], 3)))


def only_true_numbers(m, x):
    if not isinstance(x.shape[-1], int):
        raise TypeError("size must be an int")
    return m.a(x)


def conv(*args, **kwargs):
    return nn.Conv2d(*args, **kwargs)


def square(c=4):
    return lambda h: (2, c, h, h)


def parameter(*shape):
    return nn.Parameter(torch.zeros(shape))


# name: (network, shape for h)
CASES = {
    "two convolutions": (Net(two_convolutions, a=conv(4, 6, 2, 2, 2), b=conv(6, 4, 2, 2, 2)), square()),
    "u-net": (
        Net(
            unet, a=conv(4, 4, 3, padding=1), b=conv(4, 4, 3, padding=1), c=conv(4, 4, 3, padding=1),
            d=conv(8, 4, 1), up1=nn.ConvTranspose2d(4, 4, 2, 2), up2=nn.ConvTranspose2d(4, 4, 2, 2),
        ), square(),
    ),
    "u-net that pads": (Net(fitted_unet, a=conv(4, 4, 1), b=conv(4, 4, 1)), square()),
    "hourglass": (Net(hourglass, b=conv(4, 4, 1)), square()),
    "pooled shortcut": (Net(pooled_shortcut, a=conv(4, 4, 3, 2, 1)), square()),
    "gate": (Net(gate, a=conv(4, 4, 1)), square()),
    "gate on a fixed window": (Net(fixed_window_gate, a=conv(4, 4, 1)), square()),
    "spatial attention": (Net(attention_by_channel_mean, a=conv(1, 1, 7, padding=3)), square()),
    "position table": (
        Net(positions, a=conv(4, 8, 4, 4), token=parameter(1, 1, 8), table=parameter(1, 26, 8)), square(),
    ),
    "windows that drop the tail": (
        Net(windows, attention=nn.MultiheadAttention(8, 2, batch_first=True)), lambda h: (2, h, 8),
    ),
    "windows that pad": (Net(padded_windows, a=nn.Linear(8, 8)), lambda h: (2, h, 8)),
    "assertion": (Net(asserted, a=conv(4, 4, 3)), square()),
    "crop to the smaller": (Net(crop_to_smaller, a=conv(4, 4, 2, padding=1)), square()),
    "sizes as keys": (Net(cached_by_size, a=conv(4, 4, 3)), square()),
    "a loop over rows": (Net(loop_over_rows, a=conv(4, 4, 1)), square()),
    "insists on int": (Net(only_true_numbers, a=conv(4, 4, 5)), square()),
    "reflection": (Net(lambda m, x: merge(x, m.a(F.pad(x, (3, 3, 3, 3), "reflect"))), a=conv(4, 4, 7)), square()),
    "flatten": (nn.Sequential(conv(4, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 49, 3)), square()),
    "global pool": (nn.Sequential(conv(4, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), square()),
    "unshuffle": (nn.Sequential(nn.PixelUnshuffle(3), conv(36, 9, 3, padding=1), nn.PixelShuffle(3)), square()),
    "ceil pool, dilation": (
        Net(
            lambda m, x: torch.cat([m.a(x), m.b(x)], 1), a=nn.MaxPool2d(3, 2, ceil_mode=True),
            b=conv(4, 4, 3, stride=2, padding=2, dilation=2),
        ), square(),
    ),
    "transposed": (
        Net(lambda m, x: merge(x, m.b(m.a(x))), a=conv(4, 4, 3, 2, 1), b=nn.ConvTranspose2d(4, 4, 3, 2, 1)), square(),
    ),
    "batch norm in training": (nn.Sequential(conv(4, 4, 3, 2), nn.BatchNorm2d(4)).train(), lambda h: (1, 4, h, h)),
    "instance norm in training": (nn.Sequential(conv(4, 4, 3, 2), nn.InstanceNorm2d(4)).train(), square()),
    "recurrent": (nn.LSTM(8, 8, batch_first=True), lambda h: (2, h, 8)),
    "volume": (
        Net(lambda m, x: merge(x, m.b(m.a(x))), a=nn.Conv3d(2, 2, 3, 2, 1), b=nn.ConvTranspose3d(2, 2, 4, 2, 1)),
        lambda h: (1, 2, 4, h, 4),
    ),
    "strided slices": (
        Net(lambda m, x: torch.cat([x[:, 0::2], x[:, 1::2]], -1)), lambda h: (2, h, 8),
    ),
    "squeezed batch": (Net(lambda m, x: m.a(x).squeeze().flatten(1).unsqueeze(1), a=nn.Linear(8, 3)), lambda h: (h, 8)),
    "resized to nothing": (
        Net(lambda m, x: merge(F.interpolate(x, scale_factor=0.25), F.max_pool2d(x, 4, ceil_mode=True))), square(),
    ),
    "unfold": (Net(lambda m, x: F.fold(F.unfold(x, 3, stride=2), (17, 17), 3, stride=2)), square()),
}  # fmt: skip
SIZES = range(1, 41)


def real(model, shape_for):
    legal, broadcast = set(), set()
    with torch.no_grad():
        for h in SIZES:
            NOTED.clear()
            try:
                model(torch.randn(shape_for(h)))
            except Exception:  # noqa: BLE001, S112 - whatever it raises, the size is not legal
                continue
            (broadcast if NOTED else legal).add(h)
    return legal, broadcast


def pattern(shape_for):
    return tuple("h" if (a, b) == (5, 7) else a for a, b in zip(shape_for(5), shape_for(7), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_equals_real_runs(name):
    model, shape_for = CASES[name]
    model = model if model.training and "training" in name else model.eval()
    report = skipstone.legal_sizes(model, pattern(shape_for), h=SIZES)
    assert (report.legal, report.broadcast) == real(model, shape_for)
    assert report.complete


@pytest.mark.parametrize("name", ["two convolutions", "hourglass", "windows that drop the tail", "assertion", "gate"])
def test_methods_agree(name):
    model, shape_for = CASES[name]
    many = skipstone.legal_sizes(model.eval(), pattern(shape_for), h=SIZES)
    each = skipstone.legal_sizes(model.eval(), pattern(shape_for), h=SIZES, method="each")
    assert (many.legal, many.broadcast) == (each.legal, each.broadcast)
    assert "all sizes at once" in many.method
    assert "each size" in each.method


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_methods_agree_everywhere(name):
    test_methods_agree(name)


def test_one_pass_covers_thousands_of_sizes():
    model, shape_for = CASES["u-net"]
    report = skipstone.legal_sizes(model.eval(), pattern(shape_for), h=range(1, 4097))
    assert report.legal == set(range(4, 4097, 4))
    assert report.rule == "h % 4 == 0"


def test_the_fault_is_seen():
    """The real-run comparison can fail: a network whose verdict depends on values is judged by sizes alone."""

    def picky(m, x):
        if x.abs().sum() > 0:
            raise ValueError("data")
        return x

    model = Net(picky)
    assert real(model, square()) == (set(), set())
    assert skipstone.legal_sizes(Net(lambda m, x: x), pattern(square()), h=SIZES).legal == set(SIZES)
