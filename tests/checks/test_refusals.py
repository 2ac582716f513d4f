"""What torch refuses, by dtypes, shapes, indices and maps without places: nothing that raises is told clean.

And the reverse: no error where torch takes the call. Each case is really run to know.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipstone

F64, F32, F16, I64 = torch.float64, torch.float32, torch.float16, torch.int64


class L(nn.Module):
    """A function of a module that holds the parts."""

    def __init__(self, function, /, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


@dataclass(frozen=True)
class Case:
    network: Callable[[], nn.Module]
    inputs: Callable[[], tuple[torch.Tensor, ...]]
    training: bool = True
    backward: bool = False


def x4(dtype=F32):
    return torch.ones(2, 4, 8, 8, dtype=dtype)


def v(dtype=F32):
    return torch.ones(2, 8, dtype=dtype)


def s(dtype=F32):
    return torch.ones(2, 5, 8, dtype=dtype)


CASES = {
    # another dtype than the weights' or the other operand's
    "Linear float64": Case(lambda: nn.Linear(8, 8), lambda: (v(F64),), training=False),
    "Linear int64": Case(lambda: nn.Linear(8, 8), lambda: (v(I64),), training=False),
    "Linear no bias": Case(lambda: nn.Linear(8, 8, bias=False), lambda: (v(F64),), training=False),
    "Linear 3-D": Case(lambda: nn.Linear(8, 8), lambda: (s(F64),), training=False),
    "Linear half": Case(lambda: nn.Linear(8, 8), lambda: (v(F16),), training=False),
    "Bilinear": Case(
        lambda: nn.Bilinear(8, 8, 4),
        lambda: (
            v(F64),
            v(F64),
        ),
        training=False,
    ),
    "ConvTranspose2d": Case(lambda: nn.ConvTranspose2d(4, 4, 2), lambda: (x4(F64),), training=False),
    "Conv3d": Case(lambda: nn.Conv3d(4, 4, 2), lambda: (torch.zeros(2, 4, 4, 4, 4, dtype=F64),), training=False),
    "BatchNorm2d float64": Case(lambda: nn.BatchNorm2d(4), lambda: (x4(F64),), training=False),
    "BatchNorm2d half": Case(lambda: nn.BatchNorm2d(4), lambda: (x4(F16),), training=False),
    "BatchNorm2d int": Case(lambda: nn.BatchNorm2d(4), lambda: (x4(I64),), training=False),
    "LayerNorm": Case(lambda: nn.LayerNorm(8), lambda: (s(F64),), training=False),
    "LayerNorm half": Case(lambda: nn.LayerNorm(8), lambda: (s(F16),), training=False),
    "GroupNorm": Case(lambda: nn.GroupNorm(2, 4), lambda: (x4(F64),), training=False),
    "InstanceNorm affine": Case(lambda: nn.InstanceNorm2d(4, affine=True), lambda: (x4(F64),), training=False),
    "RMSNorm": Case(lambda: nn.RMSNorm(8), lambda: (s(F64),), training=False),
    "PReLU": Case(lambda: nn.PReLU(4), lambda: (x4(F64),), training=False),
    "LSTM": Case(lambda: nn.LSTM(8, 8), lambda: (s(F64),), training=False),
    "GRU": Case(lambda: nn.GRU(8, 8), lambda: (s(F64),), training=False),
    "MHA": Case(
        lambda: L(lambda m, a: m.m(a, a, a)[0], m=nn.MultiheadAttention(8, 2)), lambda: (s(F64),), training=False
    ),
    "EncoderLayer": Case(lambda: nn.TransformerEncoderLayer(8, 2), lambda: (s(F64),), training=False),
    "Embedding float": Case(lambda: nn.Embedding(9, 8), lambda: (torch.zeros(2, 5),), training=False),
    "Embedding bool": Case(lambda: nn.Embedding(9, 8), lambda: (torch.zeros(2, 5, dtype=torch.bool),), training=False),
    "Embedding int32": Case(
        lambda: nn.Embedding(9, 8), lambda: (torch.zeros(2, 5, dtype=torch.int32),), training=False
    ),
    "matmul f32 f64": Case(
        lambda: L(lambda m, a, b: a @ b.t()),
        lambda: (
            v(F32),
            v(F64),
        ),
        training=False,
    ),
    "bmm f32 f64": Case(
        lambda: L(lambda m, a, b: torch.bmm(a, b.transpose(1, 2))),
        lambda: (
            s(F32),
            s(F64),
        ),
        training=False,
    ),
    "einsum f32 f64": Case(
        lambda: L(lambda m, a, b: torch.einsum("bij,bkj->bik", a, b)),
        lambda: (
            s(F32),
            s(F64),
        ),
        training=False,
    ),
    "sdpa f32 f64": Case(
        lambda: L(lambda m, a, b: F.scaled_dot_product_attention(a, b, b)),
        lambda: (
            s(F32),
            s(F64),
        ),
        training=False,
    ),
    "addmm": Case(
        lambda: L(lambda m, a, b: torch.addmm(a, a, b.t()[:, :8])),
        lambda: (
            torch.zeros(8, 8),
            torch.zeros(8, 8, dtype=F64),
        ),
        training=False,
    ),
    "numpy positions (float64) added before a Linear": Case(
        lambda: L(lambda m, a: m.l(a + torch.from_numpy(np.linspace(0, 1, 8))), l=nn.Linear(8, 8)),
        lambda: (v(F32),),
        training=False,
    ),
    "float64 buffer in the skip, then Linear": Case(
        lambda: L(
            lambda m, a: m.l2(a * m.g + m.l(a)),
            l=nn.Linear(8, 8),
            l2=nn.Linear(8, 8),
            g=nn.Parameter(torch.ones(1, dtype=F64).expand(8).clone()),
        ),
        lambda: (v(F32),),
        training=False,
    ),
    "half branch (Linear)": Case(
        lambda: L(lambda m, a: a + m.l(a), l=nn.Linear(8, 8).half()), lambda: (v(F32),), training=False
    ),
    "bf16 norm then fp32 Linear": Case(
        lambda: L(lambda m, a: a + m.l(m.n(a).bfloat16()), l=nn.Linear(8, 8), n=nn.LayerNorm(8)),
        lambda: (v(F32),),
        training=False,
    ),
    "cat f32 f64 then conv": Case(
        lambda: L(lambda m, a, b: m.c(torch.cat([a, b], 1)), c=nn.Conv2d(8, 4, 1)),
        lambda: (
            x4(F32),
            x4(F64),
        ),
        training=False,
    ),
    "in-place add f32 += f64": Case(
        lambda: L(lambda m, a, b: a.clone().add_(b)),
        lambda: (
            v(F32),
            v(F64),
        ),
        training=False,
    ),
    "int += float": Case(
        lambda: L(lambda m, a, b: a.clone().add_(b)),
        lambda: (
            v(I64),
            v(F64),
        ),
        training=False,
    ),
    "max_pool2d int64": Case(lambda: nn.MaxPool2d(2), lambda: (x4(I64),), training=False),
    "avg_pool2d int64": Case(lambda: nn.AvgPool2d(2), lambda: (x4(I64),), training=False),
    "avg_pool2d bool": Case(lambda: nn.AvgPool2d(2), lambda: (x4(torch.bool),), training=False),
    "adaptive_avg int64": Case(lambda: nn.AdaptiveAvgPool2d(2), lambda: (x4(I64),), training=False),
    "adaptive_avg(1) int64": Case(lambda: nn.AdaptiveAvgPool2d(1), lambda: (x4(I64),), training=False),
    "mean of int64": Case(lambda: L(lambda m, a: a.mean(1)), lambda: (v(I64),), training=False),
    "softmax of int64": Case(lambda: L(lambda m, a: a.softmax(1)), lambda: (v(I64),), training=False),
    "interpolate int64": Case(
        lambda: L(lambda m, a: F.interpolate(a, scale_factor=2)), lambda: (x4(I64),), training=False
    ),
    "interpolate bilinear half cpu": Case(
        lambda: L(lambda m, a: F.interpolate(a, scale_factor=2, mode="bilinear")), lambda: (x4(F16),), training=False
    ),
    "sigmoid int64": Case(lambda: L(lambda m, a: torch.sigmoid(a)), lambda: (v(I64),), training=False),
    "dropout int64": Case(lambda: nn.Dropout(), lambda: (v(I64),), training=False),
    "gelu int64": Case(lambda: nn.GELU(), lambda: (v(I64),), training=False),
    "relu bool": Case(lambda: nn.ReLU(), lambda: (v(torch.bool),), training=False),
    "bool minus": Case(lambda: L(lambda m, a: a - a), lambda: (v(torch.bool),), training=False),
    "pad reflect int64": Case(lambda: nn.ReflectionPad2d(1), lambda: (x4(I64),), training=False),
    "where f32 f64 -> linear": Case(
        lambda: L(lambda m, a, b: m.l(torch.where(a > 0, a, b)), l=nn.Linear(8, 8)),
        lambda: (
            v(F32),
            v(F64),
        ),
        training=False,
    ),
    "index with float": Case(
        lambda: L(lambda m, a, b: a[b.long() * 0, b[0].float() > 1]),
        lambda: (
            v(F32),
            v(F32),
        ),
        training=False,
    ),
    "gather int32": Case(
        lambda: L(lambda m, a, b: a.gather(1, b)),
        lambda: (
            v(F32),
            torch.zeros(2, 8, dtype=torch.int32),
        ),
        training=False,
    ),
    "masked_fill float mask": Case(
        lambda: L(lambda m, a, b: a.masked_fill(b, 0)),
        lambda: (
            v(F32),
            v(F32),
        ),
        training=False,
    ),
    "cross_entropy float labels": Case(
        lambda: L(lambda m, a, b: F.cross_entropy(a, b)),
        lambda: (
            v(F32),
            torch.zeros(2),
        ),
        training=False,
    ),
    "fft half": Case(lambda: L(lambda m, a: torch.fft.fft(a)), lambda: (v(F16),), training=False),
    "one_hot float": Case(lambda: L(lambda m, a: F.one_hot(a, 3)), lambda: (v(F32),), training=False),
    "if x.sum(1) > 0 (many values)": Case(lambda: L(lambda m, a: a if a.sum(1) > 0 else -a), lambda: (v(),)),
    "while tensor of 2": Case(lambda: L(lambda m, a: a + 1 if a > 0 else a), lambda: (v(),)),
    ".item() of many": Case(lambda: L(lambda m, a: a * a.mean(1).item()), lambda: (v(),)),
    "float(x) of many": Case(lambda: L(lambda m, a: a * float(a[0])), lambda: (v(),)),
    "int(x) of many": Case(lambda: L(lambda m, a: a[: int(a[0])]), lambda: (v(),)),
    ".numpy() on a tensor with grad": Case(
        lambda: L(lambda m, a: a + torch.from_numpy(m.l(a).numpy()), l=nn.Linear(8, 8)), lambda: (v(),)
    ),
    "leaf in place": Case(
        lambda: L(lambda m, a: a + m.w.add_(1), w=nn.Parameter(torch.zeros(8))), lambda: (v(),), backward=True
    ),
    "leaf view in place": Case(
        lambda: L(lambda m, a: a + m.w[0].add_(1), w=nn.Parameter(torch.zeros(2, 8))), lambda: (v(),), backward=True
    ),
    "expanded written in place": Case(
        lambda: L(lambda m, a: a + torch.zeros(1, 8).expand(2, 8).add_(1)), lambda: (v(),)
    ),
    "x.expand += ": Case(lambda: L(lambda m, a: a[:, :1].expand(2, 8).mul_(2)), lambda: (v(),)),
    "input needs grad in place": Case(
        lambda: L(lambda m, a: a.add_(1)), lambda: (v().clone().requires_grad_(),), backward=True
    ),
    "gather index too large shape": Case(
        lambda: L(lambda m, a: a.gather(1, torch.zeros(3, 4, dtype=torch.long))), lambda: (v(),)
    ),
    "scatter shapes": Case(
        lambda: L(lambda m, a: a.scatter(1, torch.zeros(2, 9, dtype=torch.long), 1.0)), lambda: (v(),)
    ),
    "index_select float index": Case(lambda: L(lambda m, a: a.index_select(1, torch.zeros(3))), lambda: (v(),)),
    "take_along_dim": Case(
        lambda: L(lambda m, a: torch.take_along_dim(a, torch.zeros(2, 3, 1, dtype=torch.long), 1)), lambda: (v(),)
    ),
    "index list out of range": Case(lambda: L(lambda m, a: a[:, [0, 9]]), lambda: (v(),)),
    "select out of range": Case(lambda: L(lambda m, a: a[:, 9]), lambda: (v(),)),
    "index_select const out of range": Case(
        lambda: L(lambda m, a: a.index_select(1, torch.tensor([9]))), lambda: (v(),)
    ),
    "embedding const out of range": Case(
        lambda: L(lambda m, a: a + m.e(torch.tensor([12])), e=nn.Embedding(10, 8)), lambda: (v(),)
    ),
    "attn_mask wrong shape": Case(
        lambda: L(
            lambda m, a: m.m(a, a, a, attn_mask=torch.zeros(3, 3))[0], m=nn.MultiheadAttention(8, 2, batch_first=True)
        ),
        lambda: (s(),),
    ),
    "key_padding_mask wrong": Case(
        lambda: L(
            lambda m, a: m.m(a, a, a, key_padding_mask=torch.zeros(2, 4).bool())[0],
            m=nn.MultiheadAttention(8, 2, batch_first=True),
        ),
        lambda: (s(),),
    ),
    "sdpa mask wrong": Case(
        lambda: L(lambda m, a: F.scaled_dot_product_attention(a, a, a, attn_mask=torch.zeros(4, 4))), lambda: (s(),)
    ),
    "sdpa k/v lengths": Case(lambda: L(lambda m, a: F.scaled_dot_product_attention(a, a, a[:, :3])), lambda: (s(),)),
    "fold output size": Case(
        lambda: L(lambda m, a: F.fold(F.unfold(a, 2, stride=2), (9, 9), 2, stride=2)), lambda: (x4(),)
    ),
    "grid_sample dims": Case(lambda: L(lambda m, a: F.grid_sample(a, torch.zeros(3, 4, 4, 2))), lambda: (x4(),)),
    "grid_sample last": Case(lambda: L(lambda m, a: F.grid_sample(a, torch.zeros(2, 4, 4, 3))), lambda: (x4(),)),
    "cross_entropy shapes": Case(
        lambda: L(lambda m, a: F.cross_entropy(a, torch.zeros(3, dtype=torch.long))), lambda: (v(),)
    ),
    "cross_entropy target float (N,)": Case(lambda: L(lambda m, a: F.cross_entropy(a, torch.zeros(2))), lambda: (v(),)),
    "bce shapes": Case(lambda: L(lambda m, a: F.binary_cross_entropy(a.sigmoid(), torch.zeros(2, 7))), lambda: (v(),)),
    "nll 2d": Case(lambda: L(lambda m, a: F.nll_loss(a, torch.zeros(2, 2, dtype=torch.long))), lambda: (x4(),)),
    "max_unpool": Case(
        lambda: L(lambda m, a: F.max_unpool2d(*F.max_pool2d(a, 2, return_indices=True), 3)), lambda: (x4(),)
    ),
    "stft small": Case(lambda: L(lambda m, a: torch.stft(a, 64, return_complex=True).abs()), lambda: (v(),)),
    "LSTM hidden wrong batch": Case(
        lambda: L(
            lambda m, a: m.l(a, (torch.zeros(1, 3, 8), torch.zeros(1, 3, 8)))[0], l=nn.LSTM(8, 8, batch_first=True)
        ),
        lambda: (s(),),
    ),
    "pack_padded": Case(
        lambda: L(
            lambda m, a: m.l(nn.utils.rnn.pack_padded_sequence(a, [5, 3], batch_first=True))[1],
            l=nn.GRU(8, 8, batch_first=True),
        ),
        lambda: (s(),),
    ),
    "pack_padded unsorted": Case(
        lambda: L(
            lambda m, a: m.l(nn.utils.rnn.pack_padded_sequence(a, [3, 5], batch_first=True))[1],
            l=nn.GRU(8, 8, batch_first=True),
        ),
        lambda: (s(),),
    ),
    "view of a transposed tensor": Case(lambda: L(lambda m, a: a.transpose(1, 2).view(2, -1)), lambda: (s(),)),
    "view channels_last": Case(
        lambda: L(lambda m, a: a.to(memory_format=torch.channels_last).view(2, -1)), lambda: (x4(),)
    ),
    "dropout p=2": Case(lambda: L(lambda m, a: F.dropout(a, 2.0)), lambda: (v(),)),
    "LocalResponseNorm on 2-D": Case(lambda: nn.LocalResponseNorm(2), lambda: (v(),)),
    "pixel_shuffle": Case(lambda: nn.PixelShuffle(3), lambda: (x4(),)),
    "group_norm batch 1 1x1 train": Case(lambda: nn.GroupNorm(4, 4), lambda: (torch.randn(1, 4, 1, 1),)),
    "instance_norm 1x1": Case(lambda: nn.InstanceNorm2d(4), lambda: (torch.randn(2, 4, 1, 1),)),
    "batch_norm one value": Case(lambda: nn.BatchNorm1d(8), lambda: (torch.randn(1, 8),)),
    "layer_norm shape": Case(lambda: nn.LayerNorm(7), lambda: (v(),)),
    "AdaptiveAvgPool2d(3) of empty": Case(lambda: nn.AdaptiveAvgPool2d(3), lambda: (torch.zeros(2, 4, 0, 5),)),
    "AdaptiveAvgPool1d(3) empty": Case(lambda: nn.AdaptiveAvgPool1d(3), lambda: (torch.zeros(2, 4, 0),)),
    "AvgPool empty": Case(lambda: nn.AvgPool2d(2), lambda: (torch.zeros(2, 4, 0, 5),)),
    "MaxPool empty": Case(lambda: nn.MaxPool2d(2), lambda: (torch.zeros(2, 4, 0, 5),)),
    "conv empty": Case(lambda: nn.Conv2d(4, 4, 3, padding=1), lambda: (torch.zeros(2, 4, 0, 5),)),
    "batchnorm empty train": Case(lambda: nn.BatchNorm2d(4), lambda: (torch.zeros(2, 4, 0, 5),)),
    "interpolate empty": Case(
        lambda: L(lambda m, a: F.interpolate(a, scale_factor=2)), lambda: (torch.zeros(2, 4, 0, 5),)
    ),
    "interpolate to 0": Case(lambda: L(lambda m, a: F.interpolate(a, scale_factor=0.1)), lambda: (x4(),)),
    "linear empty": Case(lambda: nn.Linear(8, 3), lambda: (torch.zeros(0, 8),)),
    "softmax empty dim": Case(lambda: L(lambda m, a: a.softmax(1)), lambda: (torch.zeros(2, 0),)),
    "max of empty": Case(lambda: L(lambda m, a: a.max(1)[0]), lambda: (torch.zeros(2, 0),)),
    "amax empty": Case(lambda: L(lambda m, a: a.amax(1)), lambda: (torch.zeros(2, 0),)),
    "pad replicate empty": Case(
        lambda: L(lambda m, a: F.pad(a, (1, 1, 1, 1), mode="replicate")), lambda: (torch.zeros(2, 4, 0, 5),)
    ),
    "pad circular empty": Case(
        lambda: L(lambda m, a: F.pad(a, (1, 1, 1, 1), mode="circular")), lambda: (torch.zeros(2, 4, 0, 5),)
    ),
    "pixel_unshuffle empty": Case(lambda: nn.PixelUnshuffle(2), lambda: (torch.zeros(2, 4, 0, 4),)),
    "conv_transpose empty": Case(lambda: nn.ConvTranspose2d(4, 4, 2, 2), lambda: (torch.zeros(2, 4, 0, 4),)),
    "unfold empty": Case(lambda: L(lambda m, a: F.unfold(a, 2)), lambda: (torch.zeros(2, 4, 1, 4),)),
    "groupnorm empty": Case(lambda: nn.GroupNorm(2, 4), lambda: (torch.zeros(2, 4, 0, 4),)),
    "LSTM empty seq": Case(
        lambda: L(lambda m, a: m.l(a)[0], l=nn.LSTM(8, 8, batch_first=True)), lambda: (torch.zeros(2, 0, 8),)
    ),
    "MHA empty seq": Case(
        lambda: L(lambda m, a: m.m(a, a, a)[0], m=nn.MultiheadAttention(8, 2, batch_first=True)),
        lambda: (torch.zeros(2, 0, 8),),
    ),
    "adaptive max empty": Case(lambda: nn.AdaptiveMaxPool2d(2), lambda: (torch.zeros(2, 4, 0, 5),)),
    "avgpool batch 0": Case(lambda: nn.AvgPool2d(2), lambda: (torch.zeros(0, 4, 6, 6),)),
    "instancenorm empty": Case(lambda: nn.InstanceNorm2d(4), lambda: (torch.zeros(2, 4, 0, 5),)),
    "lp_pool empty": Case(lambda: L(lambda m, a: F.lp_pool2d(a, 2, 2)), lambda: (torch.zeros(2, 4, 0, 5),)),
    "upsample bilinear empty": Case(
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"), lambda: (torch.zeros(2, 4, 0, 5),)
    ),
    "argmax empty": Case(lambda: L(lambda m, a: a.argmax(1)), lambda: (torch.zeros(2, 0),)),
    "stack of none": Case(lambda: L(lambda m, a: torch.stack([])), lambda: (v(),)),
    "cat of none": Case(lambda: L(lambda m, a: torch.cat([t for t in a if t.dim() > 3])), lambda: (v(),)),
}


def refused_by_torch(case):
    net = case.network().train(case.training)
    try:
        result = net(*case.inputs())
        if case.backward:
            result.sum().backward()
    except Exception:  # noqa: BLE001 - by which error does not matter
        return True
    return False


def disagreement(name):
    """What is wrong with the verdict, in words; None where it agrees with torch."""
    case = CASES[name]
    refused = refused_by_torch(case)
    inputs = case.inputs()
    report = skipstone.check(case.network().train(case.training), inputs if len(inputs) > 1 else inputs[0])
    if refused and not report.errors and not report.partial:
        return "torch refuses it, and nothing is told"
    if not refused and report.errors:
        return f"torch takes it, and is told: {report.errors[0].message}"
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [name if number % 6 == 0 else pytest.param(name, marks=pytest.mark.slow) for number, name in enumerate(CASES)],
)
def test_each_verdict_is_torchs(name):
    assert disagreement(name) is None


def test_the_comparison_can_fail(monkeypatch):
    monkeypatch.setitem(CASES, "planted", Case(lambda: nn.Linear(3, 3), lambda: (torch.ones(2, 4),)))
    monkeypatch.setattr(skipstone, "check", lambda net, inputs: type("R", (), {"errors": (), "partial": None}))
    assert disagreement("planted") == "torch refuses it, and nothing is told"
