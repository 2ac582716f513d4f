"""Right networks that look like faults: no rule may warn of any of them, in training or in evaluation."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = conv(3, 8)
        self.mu = conv(8, 4)
        self.lv = conv(8, 4)
        self.d = conv(4, 3)

    def forward(self, x):
        h = self.e(x)
        mu, lv = (self.mu(h), self.lv(h))
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp() if self.training else mu
        return self.d(z)


class Tcn(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1 = nn.Conv1d(8, 8, 3, padding=2)
            self.c2 = nn.Conv1d(8, 8, 3, padding=2)
            self.d = nn.Dropout(0.2)

        def forward(self, x):
            y = self.d(F.relu(self.c1(x)[:, :, :-2]))
            y = self.d(F.relu(self.c2(y)[:, :, :-2]))
            return F.relu(x + y)

    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(self.B(), self.B())

    def forward(self, x):
        return self.b(x)


class Fpn(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = conv(3, 8, 3, 2)
        self.c2 = conv(8, 16, 3, 2)
        self.l1 = nn.Conv2d(8, 8, 1)
        self.l2 = nn.Conv2d(16, 8, 1)
        self.o = conv(8, 8)
        self.h = conv(8, 4)

    def forward(self, x):
        a = F.relu(self.c1(x))
        b = F.relu(self.c2(a))
        p2 = self.l2(b)
        p1 = self.l1(a) + F.interpolate(p2, scale_factor=2)
        return [self.h(self.o(p)) for p in (p1, p2)]


class DnCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(conv(1, 8), nn.ReLU(True), conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(True), conv(8, 1))

    def forward(self, x):
        return x - self.n(x)


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = conv(8, 8)
        self.t = conv(8, 8)

    def forward(self, x):
        t = torch.sigmoid(self.t(x))
        return self.h(x) * t + x * (1 - t)


class LstmResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LSTM(8, 8, batch_first=True)
        self.n = nn.LayerNorm(8)

    def forward(self, x):
        return self.n(x + self.l(x)[0])


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.sa = nn.MultiheadAttention(8, 2, batch_first=True)
        self.ca = nn.MultiheadAttention(8, 2, batch_first=True)
        self.m = mlp(8)
        self.n = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.e = nn.Linear(8, 8)

    def forward(self, x):
        mem = self.e(x.mean(1, keepdim=True).expand(-1, 5, -1))
        h = self.n[0](x)
        x = x + self.sa(h, h, h)[0]
        x = x + self.ca(self.n[1](x), mem, mem)[0]
        return x + self.m(self.n[2](x))


class HrFuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8, 3, 2)
        self.u = nn.Conv2d(8, 8, 1)
        self.d = conv(8, 8, 3, 2)
        self.n = nn.BatchNorm2d(8)
        self.r = nn.ReLU(True)

    def forward(self, x):
        hi = self.r(self.a(x))
        lo = self.r(self.b(x))
        y = self.r(hi + F.interpolate(self.u(lo), scale_factor=2))
        z = self.r(lo + self.n(self.d(hi)))
        return (y, z)


class SwinLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 16)
        self.a = Attention()
        self.n = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)
        self.m = mlp()

    def forward(self, x):
        x = self.c(x).permute(0, 2, 3, 1)
        b, h, w, c = x.shape
        y = self.n(x).view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        y = self.a(y).view(b, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        x = x + y
        return x + self.m(self.n2(x))


class CondInstance(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.d = conv(8, 8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.f = nn.Linear(8, 16)

    def forward(self, x):
        g, b = self.f(self.pool(x).flatten(1)).chunk(2, 1)
        return x + self.d(F.relu(self.c(x) * (1 + g[..., None, None]) + b[..., None, None]))


RIGHT = [
    (Vae, (2, 3, 16, 16)),
    (Tcn, (2, 8, 20)),
    (Fpn, (2, 3, 32, 32)),
    (DnCnn, (2, 1, 16, 16)),
    (Highway, MAP),
    (LstmResidual, (2, 16, 8)),
    (Decoder, (2, 16, 8)),
    (HrFuse, (2, 8, 8, 8)),
    (SwinLike, (2, 8, 8, 8)),
    (CondInstance, (2, 8, 8, 8)),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "shape"), RIGHT)
def test_no_warning(found, kind, shape, training):
    assert found(kind, shape, training=training) == ()
