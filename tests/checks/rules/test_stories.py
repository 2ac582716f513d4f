"""Networks with the faults that people meet, and right ones beside them: the one rule that tells, or none."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)


class Blk(nn.Module):
    def __init__(self, ci, co, st=1):
        super().__init__()
        self.c1 = conv(ci, co, 3, st)
        self.b1 = nn.BatchNorm2d(co)
        self.c2 = conv(co, co)
        self.b2 = nn.BatchNorm2d(co)
        self.sc = (
            nn.Sequential() if st == 1 and ci == co else nn.Sequential(nn.Conv2d(ci, co, 1, st), nn.BatchNorm2d(co))
        )

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.sc(x))


class Kuangliu(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Sequential(Blk(8, 8), Blk(8, 16, 2), Blk(16, 16))

    def forward(self, x):
        return self.l(x)


class DropoutInplace(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)
        self.d = nn.Dropout(0.2, inplace=True)

    def forward(self, x):
        x = self.a(x)
        return self.c(self.d(x)) + x


class ProjOfClobbered(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.body = nn.Sequential(nn.SiLU(inplace=True), conv(8, 16), nn.SiLU(inplace=True), conv(16, 16))
        self.p = nn.Conv2d(8, 16, 1)

    def forward(self, x):
        x = self.a(x)
        y = self.body(x)
        return y + self.p(x)


class UNetInplaceSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.down = nn.Sequential(nn.LeakyReLU(0.2, True), nn.Conv2d(8, 8, 4, 2, 1))
        self.up = nn.Sequential(nn.ReLU(True), nn.ConvTranspose2d(8, 8, 4, 2, 1))
        self.o = conv(16, 1)

    def forward(self, x):
        x = self.a(x)
        return self.o(torch.cat([x, self.up(self.down(x))], 1))


class EmbScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(9, 16)
        self.p = nn.Parameter(torch.zeros(10, 16))
        self.l = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x):
        h = self.e(x) * 4
        h = h + self.p
        return self.l(h)


class UNetSkipUnused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.skip = nn.Conv2d(8, 8, 1)
        self.b = conv(8, 8)
        self.u = nn.ConvTranspose2d(8, 8, 2, 2)
        self.o = conv(8, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        self.skip(a)
        return self.o(self.u(self.b(F.max_pool2d(a, 2))))


class AttentionThrownAway(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.n = nn.LayerNorm(16)
        self.m = mlp()

    def forward(self, x):
        h = self.n(x)
        self.a(h)
        return x + self.m(h)


class VitNoBatchFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Conv2d(3, 16, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, 16))
        self.pos = nn.Parameter(torch.zeros(1, 17, 16))
        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32), 2, enable_nested_tensor=False)
        self.h = nn.Linear(16, 5)

    def forward(self, x):
        t = self.p(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.cls.expand(len(t), -1, -1), t], 1) + self.pos
        return self.h(self.e(t)[:, 0])


class SoftmaxOverBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(16, 48)
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        q, k, v = self.q(x).chunk(3, -1)
        a = F.softmax(q @ k.transpose(1, 2) / 4, dim=0)
        return self.h((x + a @ v).mean(1))


class ClipDropPath(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Conv2d(3, 16, 8, 8)
        self.a = nn.MultiheadAttention(16, 2)
        self.n = nn.LayerNorm(16)

    def forward(self, x):
        t = self.p(x).flatten(2).permute(2, 0, 1)
        y = self.n(t)
        y = self.a(y, y, y)[0]
        if self.training:
            r = 0.9 + torch.rand((y.shape[0],) + (1,) * (y.ndim - 1))
            y = y.div(0.9) * r.floor()
        return t + y


class DecoderReuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.b = conv(8, 8)
        self.c = conv(8, 8)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.d = conv(16, 8)
        self.o = conv(8, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        c = F.relu(self.c(F.max_pool2d(b, 2)))
        y = self.d(torch.cat([self.up(c), b], 1))
        y = self.d(torch.cat([self.up(y), a], 1))
        return self.o(y)


class BnTypo(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = conv(8, 8)
        self.c2 = conv(8, 8)
        self.bn1 = nn.BatchNorm2d(8)
        self.bn2 = nn.BatchNorm2d(8)

    def forward(self, x):
        o = F.relu(self.bn1(self.c1(x)))
        return F.relu(self.bn1(self.c2(o)) + x)


class InceptionHeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = conv(3, 8)
        self.a = nn.Conv2d(8, 8, 1)
        self.b = conv(8, 8)
        self.c = conv(8, 8, 5)
        self.h = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.s(x))
        return self.h(torch.cat([self.a(x), self.b(x), self.c(x)], 2).mean((2, 3)))


class PermuteBackWrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 8)
        self.l = nn.LayerNorm(8)
        self.m = mlp(8)

    def forward(self, x):
        x = self.c(x)
        y = self.m(self.l(x.permute(0, 2, 3, 1))).permute(0, 3, 2, 1)
        return x + y


class DropoutOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.d = nn.Dropout(1.0)

    def forward(self, x):
        return x + self.d(self.c(x))


class CloneDetach(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.b = nn.BatchNorm2d(8)

    def forward(self, x):
        identity = x.clone().detach()
        out = self.b(self.c(x))
        out += identity
        return F.relu(out)


class Byol(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = conv(8, 8)
        self.p = conv(8, 8)

    def forward(self, x):
        z = self.e(x)
        return (self.p(z), z.detach())


class DoubleThroughDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)

    def forward(self, x):
        y = self.c(x)
        y = y + x
        return x + y


class MultiScaleTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv1d(16, 16, 3, 2, 1)
        self.a = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        y = self.c(x.transpose(1, 2)).transpose(1, 2)
        kv = torch.cat([x, y], 1)
        return x + self.a(x, kv, kv)[0]


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 16)
        self.b = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU(True), conv(8, 8), nn.BatchNorm2d(8))

    def forward(self, x):
        x = F.relu(self.c(x))
        a, b = x.chunk(2, 1)
        o = torch.cat([a, self.b(b)], 1)
        n, c, h, w = o.shape
        return o.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class AuxTrainOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.b = conv(8, 8)
        self.h = nn.Linear(8, 4)
        self.aux = nn.Linear(8, 4)

    def forward(self, x):
        a = F.relu(self.a(x))
        y = self.h((a + self.b(a)).mean((2, 3)))
        return (y, self.aux(a.mean((2, 3)))) if self.training else y


class TokenMix(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1 = nn.LayerNorm(8)
        self.n2 = nn.LayerNorm(8)
        self.t = nn.Linear(12, 12)
        self.m = mlp(8)

    def forward(self, x):
        x = x + self.t(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.m(self.n2(x))


class Sandwich(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (conv(8, 8) for _ in range(3))
        self.n = nn.ModuleList(nn.GroupNorm(2, 8) for _ in range(3))

    def forward(self, x):
        return x + self.n[2](self.c(F.silu(self.n[1](self.b(F.silu(self.n[0](self.a(x))))))))


class DenseAdd(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (conv(8, 8) for _ in range(3))

    def forward(self, x):
        a = x + F.relu(self.a(x))
        b = x + a + self.b(a)
        return x + a + b + self.c(b)


STORIES = [
    (Kuangliu, MAP, None),
    (DropoutInplace, MAP, "identity-overwritten"),
    (ProjOfClobbered, MAP, "identity-overwritten"),
    (UNetInplaceSkip, (2, 3, 16, 16), "identity-overwritten"),
    (EmbScale, torch.zeros(2, 10, dtype=torch.int64), None),
    (UNetSkipUnused, (2, 3, 16, 16), "dead-computation"),
    (AttentionThrownAway, (2, 10, 16), "dead-computation"),
    (VitNoBatchFirst, (4, 3, 32, 32), "batch-attention"),
    (SoftmaxOverBatch, (4, 12, 16), "batch-attention"),
    (ClipDropPath, (2, 3, 32, 32), "drop-path-axis"),
    (DecoderReuse, (2, 3, 32, 32), "shared-module"),
    (BnTypo, MAP, "shared-module"),
    (InceptionHeight, (2, 3, 16, 16), "wrong-cat-axis"),
    (PermuteBackWrong, (2, 3, 32, 32), "swapped-axes"),
    (DropoutOne, MAP, "zeroed-branch"),
    (CloneDetach, MAP, "cut-gradient"),
    (Byol, MAP, None),
    (DoubleThroughDropout, MAP, "shortcut-twice"),
    (MultiScaleTokens, (2, 64, 16), None),
    (Shuffle, (2, 3, 32, 32), None),
    (AuxTrainOnly, (2, 3, 32, 32), None),
    (TokenMix, (2, 12, 8), None),
    (Sandwich, (2, 8, 8, 8), None),
    (DenseAdd, (2, 8, 8, 8), None),
]


@pytest.mark.parametrize(("kind", "example", "rule"), STORIES)
def test_story(found, kind, example, rule):
    assert {finding.rule for finding in found(kind, example)} == ({rule} if rule else set())
