"""Every form a model may take is recorded: no crash, nothing lost between input and output, the skips all there."""

import dataclasses
import functools
import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn
from torch.nn.utils import parametrizations

from skipstone.skips import find_skips
from skipstone.tracing import trace
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.torch_internals import fake_mode

IMAGE = (2, 3, 16, 16)
WORDS = (2, 10, 16)


def conv(c_in: int = 3, c_out: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU())


class Two(nn.Module):
    """Two blocks for the models below: `a` widens to 8 channels, `b` keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(), conv(8, 8)


class Plain(Two):
    def forward(self, x):
        x = self.a(x)
        return x + self.b(x)


class ModuleUsedTwice(Two):
    def forward(self, x):
        x = self.a(x)
        x = x + self.b(x)
        return x + self.b(x)


class BranchOnData(Two):
    def forward(self, x):
        x = self.a(x)
        if x.mean() > 0:
            x = x + self.b(x)
        for _ in range(int(x.sum().item())):
            x = x + self.b(x)
        return x


class LoopAndList(Two):
    def forward(self, x):
        features = []
        for step in (self.a, self.b, self.b):
            x = step(x)
            features.append(x)
        return functools.reduce(torch.add, features)


class DictOfFeatures(Two):
    def forward(self, x):
        features = {"low": self.a(x)}
        features["high"] = self.b(features["low"])
        return {"out": torch.cat([features["low"], features["high"]], dim=1), "features": features}


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...]


class DataclassOutput(Plain):
    def forward(self, x):
        out = super().forward(x)
        return Output(out, (out,))


class AugmentedAssignment(Two):
    def forward(self, x):
        x = self.a(x)
        out = self.b[1](self.b[0](x))
        out += x
        return out


class InplaceMethod(Two):
    def forward(self, x):
        x = self.a(x)
        out = self.b[1](self.b[0](x))
        out.add_(x)
        return out.relu_()


class IntoASlice(Two):
    def forward(self, x):
        x = self.a(x)
        out = self.b(x).clone()
        out[:, :4] += x[:, :4]
        return out


class SetItem(Two):
    """The skip runs through `buffer[:, 4:] = ...`."""

    def forward(self, x):
        x = self.a(x)
        buffer = torch.zeros_like(x)
        buffer[:, 4:] = self.b(x)[:, 4:]
        return x + buffer


class ThroughAView(Two):
    """Written through a view of the tensor that is returned."""

    def forward(self, x):
        x = self.a(x)
        out = self.b(x).clone()
        flat = out.view(out.shape[0], -1)
        flat += x.flatten(1)
        return out


class Checkpointed(Two):
    reentrant = False

    def block(self, x):
        return x + self.b(x)

    def forward(self, x):
        x = self.a(x)
        return torch.utils.checkpoint.checkpoint(self.block, x, use_reentrant=self.reentrant)


class CheckpointedReentrant(Checkpointed):
    reentrant = True


class ParametersAsAttributes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, 3, 3))
        self.head = nn.Parameter(torch.randn(5, 3))

    def forward(self, x):
        y = F.conv2d(x, self.weight, padding=1).relu() + x
        return F.linear(y.mean((2, 3)), self.head)


class SequentialSubclass(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class StackedSum(Two):
    def forward(self, x):
        x = self.a(x)
        return torch.stack([x, self.b(x)]).sum(0)


class SumOfList(Two):
    def forward(self, x):
        x = self.a(x)
        return sum([x, self.b(x), self.b(self.b(x))])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 4, batch_first=True), nn.LayerNorm(16)

    def forward(self, x):
        return self.norm(x + self.attention(x, x, x, need_weights=False)[0])


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.rnn, self.out = kind(16, 16, 2, batch_first=True), nn.Linear(16, 16)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.out(y + x)


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(16, 16)

    def forward(self, x):
        state = x.new_zeros(x.shape[0], 16)
        for t in range(x.shape[1]):
            state = state + self.cell(x[:, t], state)
        return state


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x)


class CustomFunction(Two):
    def forward(self, x):
        x = self.a(x)
        return x + Swish.apply(self.b(x))


class Vmapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        return x + torch.vmap(self.linear)(x)


class NumpyStatistic(Two):
    def forward(self, x):
        x = self.a(x)
        scale = float(x.detach().cpu().numpy().mean())
        return x + self.b(x) * scale


class CachedOnSelf(Two):
    def __init__(self) -> None:
        super().__init__()
        self.cache = None

    def forward(self, x):
        x = self.a(x)
        if self.cache is None:
            self.cache = torch.zeros_like(x)
        return x + self.b(x) + self.cache


class StochasticDepth(Two):
    def forward(self, x):
        x = self.a(x)
        branch = self.b(x)
        if self.training:
            mask = branch.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.8)
            branch = branch.div(0.8) * mask
        return x + branch


class Positional(Two):
    """A learned and a fixed position table, added to the stream: neither is a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 8, 1, 1))
        self.register_buffer("fixed", torch.ones(1, 8, 16, 16))

    def forward(self, x):
        x = self.a(x) + self.table + self.fixed
        return x + self.b(x)


class SharedWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mix, self.head = nn.Embedding(11, 16), nn.Linear(16, 16), nn.Linear(16, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(x + self.mix(x))


class ClosureOverModule(Two):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda x: x + self.b(x)

    def forward(self, x):
        return self.step(self.a(x))


class Normed(nn.Module):
    def __init__(self, norm) -> None:
        super().__init__()
        self.linear = norm(nn.Linear(16, 16))

    def forward(self, x):
        return x + self.linear(x)


class ClosureOverNone(nn.Module):
    """What a function held by the instance closed over is nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        self.a, axes = conv(3, 3), None
        self.mean = lambda x: x.mean() if axes is None else x.mean(axes, keepdim=True)

    def forward(self, x):
        return x + self.a(x - self.mean(x))


class Compiled(Two):
    def __init__(self) -> None:
        super().__init__()
        self.block = torch.compile(self.b)

    def forward(self, x):
        x = self.a(x)
        return x + self.block(x)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.LazyConv2d(8, 3, padding=1), nn.LazyBatchNorm2d(), nn.LazyConv2d(8, 3, padding=1)
        self.head = nn.LazyLinear(5)

    def forward(self, x):
        x = self.norm(self.a(x))
        return self.head((x + self.b(x)).mean((2, 3)))


class OneDimensional(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
        self.a = kind(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.a(x)


class UnderAutocast(Two):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            x = self.a(x)
            return x + self.b(x)


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16))

    def forward(self, x):
        return x + torch.einsum("bnc,cd->bnd", x, self.weight)


class MaskedSelect(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        kept = x[x.sum(-1) > 0]
        indices = torch.nonzero(kept)
        rows, _ = torch.where(kept > 0)
        return kept + self.linear(kept), indices, rows


def transformer() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)


def swap(linear: nn.Module) -> nn.Module:
    return nn.utils.parametrize.register_parametrization(linear, "weight", nn.Identity())


FORMS = [
    (Plain, IMAGE, 1),
    (ModuleUsedTwice, IMAGE, 2),
    (BranchOnData, IMAGE, 2),
    (LoopAndList, IMAGE, 2),
    (DictOfFeatures, IMAGE, 1),
    (DataclassOutput, IMAGE, 1),
    (AugmentedAssignment, IMAGE, 1),
    (InplaceMethod, IMAGE, 1),
    (ThroughAView, IMAGE, 1),
    (SetItem, IMAGE, 1),
    (Checkpointed, IMAGE, 1),
    (CheckpointedReentrant, IMAGE, 1),
    (ParametersAsAttributes, IMAGE, 1),
    (lambda: nn.Sequential(conv(), SequentialSubclass(conv(8, 8))), IMAGE, 1),
    (StackedSum, IMAGE, 1),
    (SumOfList, IMAGE, 1),
    (Attention, WORDS, 1),
    (Recurrent, WORDS, 1),
    (functools.partial(Recurrent, nn.GRU), WORDS, 1),
    (functools.partial(Recurrent, nn.RNN), WORDS, 1),
    (Cell, (2, 3, 16), 2),
    (CustomFunction, IMAGE, 1),
    (Vmapped, WORDS, 1),
    (NumpyStatistic, IMAGE, 1),
    (CachedOnSelf, IMAGE, 1),
    (StochasticDepth, IMAGE, 1),
    (Positional, IMAGE, 1),
    (SharedWeight, torch.zeros(2, 7, dtype=torch.int64), 1),
    (ClosureOverModule, IMAGE, 1),
    (ClosureOverNone, IMAGE, 1),
    (functools.partial(Normed, parametrizations.weight_norm), WORDS, 1),
    (functools.partial(Normed, parametrizations.spectral_norm), WORDS, 1),
    (functools.partial(Normed, parametrizations.orthogonal), WORDS, 1),
    (functools.partial(Normed, swap), WORDS, 1),
    (Compiled, IMAGE, 1),
    (Lazy, IMAGE, 1),
    (functools.partial(OneDimensional, 1), (2, 3, 16), 1),
    (functools.partial(OneDimensional, 3), (2, 3, 4, 4, 4), 1),
    (UnderAutocast, IMAGE, 1),
    (Einsum, WORDS, 1),
    (MaskedSelect, WORDS, 1),
    (transformer, WORDS, 4),
    (lambda: nn.TransformerDecoderLayer(16, 4, 32, batch_first=True), (WORDS, WORDS), 3),
    (lambda: nn.Transformer(16, 4, 2, 2, 32, batch_first=True), (WORDS, WORDS), 10),
]


def _name(make) -> str:
    inner = make.args[0] if isinstance(make, functools.partial) else make
    return getattr(inner, "__name__", str(inner))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile, as it imports its parts
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(("make", "example", "num_skips"), FORMS, ids=[_name(make) for make, _, _ in FORMS])
def test_recorded_whole(make, example, num_skips, training) -> None:
    graph = trace(make().train(training), example)
    assert graph.stopped is None
    assert graph.failures == ()
    assert "lost track" not in str(graph.assumptions)
    assert graph.outputs
    assert sum(skip.is_block_skip for skip in find_skips(graph)) == num_skips


def test_a_name_stays_with_its_tensor() -> None:
    """What a lazy layer replaces lives on: else a tensor made later could get its id, and with that its name."""
    clone = FakeClone(Lazy(), fake_mode())
    unsized = [weakref.ref(tensor) for tensor in (*clone.model.parameters(), *clone.model.buffers())]
    assert set(clone.names) == {id(ref()) for ref in unsized}
    with clone.fake:
        clone.model(clone.input(torch.zeros(IMAGE)))
    gc.collect()
    assert all(ref() is not None for ref in unsized)
