"""What batch-attention must find, and what it must leave alone."""

import pytest
import torch
from torch import nn

from networks import conv
from skipstone.checks import check


class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(50, 16)
        self.pos = nn.Parameter(torch.zeros(1, 10, 16))
        self.a = nn.MultiheadAttention(16, 2)
        self.n = nn.LayerNorm(16)
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        x = self.e(x) + self.pos
        x = self.n(x + self.a(x, x, x)[0])
        return self.h(x.mean(1))


class EncoderLayerPooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64), 1, enable_nested_tensor=False)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(1))


class LstmOverBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 16)
        self.l = nn.LSTM(16, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x):
        t = self.c(x).flatten(2).transpose(1, 2)
        y, _ = self.l(t)
        return self.h((t + y).mean(1))


class SeqFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoderLayer(32, 2, 64)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(0))


class BatchFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(1))


class SeqFirstFromConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 16)
        self.a = nn.MultiheadAttention(16, 2)

    def forward(self, x):
        t = self.c(x).flatten(2).permute(2, 0, 1)
        return t + self.a(t, t, t)[0]


class SeqFirstNoPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.TransformerEncoderLayer(16, 2, 64)

    def forward(self, x):
        return self.e(x)


FOUND = [
    (Ids, torch.zeros(2, 10, dtype=torch.int64)),
    (EncoderLayerPooled, (3, 12, 16)),
    (LstmOverBatch, (3, 8, 8, 8)),
]
LEFT_ALONE = [
    (SeqFirst, (12, 3, 16)),
    (BatchFirst, (3, 12, 16)),
    (SeqFirstFromConv, (3, 8, 8, 8)),
    (SeqFirstNoPool, (12, 3, 16)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"batch-attention"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("batch-attention.txt", text(found(kind, shape)[0]))


class Weighed(nn.Module):
    """Self-attention by hand, the scores' softmax along `dim`, the weights laid on by `lay`."""

    def __init__(self, dim, lay):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.dim, self.lay = dim, lay

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 4
        return x + self.out(self.lay(scores.softmax(self.dim), self.v(x)))


ALONG_QUERIES = {
    "matmul": (1, lambda a, v: a @ v),
    "bmm behind dropout": (1, lambda a, v: torch.bmm(nn.functional.dropout(a, 0.1), v)),
    "einsum": (-2, lambda a, v: torch.einsum("bqk,bkd->bqd", a, v)),
    "transposed": (-1, lambda a, v: a.transpose(1, 2) @ v),
    "values first": (-1, lambda a, v: (v.transpose(1, 2) @ a).transpose(1, 2)),
}
ALONG_KEYS = {
    "matmul": (-1, lambda a, v: a @ v),
    "einsum": (2, lambda a, v: torch.einsum("bqk,bkd->bqd", a, v)),
    "keys first": (1, lambda a, v: a.transpose(1, 2) @ v),
    "offset attention (2012.09688)": (1, lambda a, v: (a / a.sum(2, keepdim=True)) @ v),
    "both softmaxes (LoFTR, 2104.00680)": (1, lambda a, v: (a * a.softmax(2)) @ v),
}


@pytest.mark.parametrize("name", ALONG_QUERIES)
def test_softmax_over_the_queries(name):
    (finding,) = check(Weighed(*ALONG_QUERIES[name]), (2, 6, 16), sizes=False, run=False).warnings
    assert (finding.rule, "runs along the queries" in finding.message) == ("batch-attention", True)
    mended = finding.repairs[0].apply(Weighed(*ALONG_QUERIES[name]))
    assert check(mended, (2, 6, 16), sizes=False, run=False).warnings == ()


@pytest.mark.parametrize("name", ALONG_KEYS)
def test_softmax_over_the_keys_is_right(found, name):
    assert found(lambda: Weighed(*ALONG_KEYS[name]), (2, 6, 16)) == ()


class Soft(nn.Module):
    """Attention pooling by a plain product, over the images of a batch or over the places of each."""

    def __init__(self, dim):
        super().__init__()
        self.stem, self.score, self.dim = conv(3, 16), nn.Linear(16, 1), dim

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return (self.score(x).softmax(self.dim) * x).sum(1)


def test_weights_laid_on_by_a_plain_product(found):
    assert [f.rule for f in found(lambda: Soft(0), (4, 3, 6, 6))] == ["batch-attention"]
    assert found(lambda: Soft(1), (4, 3, 6, 6)) == ()


class OverNodes(nn.Module):
    """GPS (2205.12454): messages along the edges, and attention of all nodes, for which a batch of one is made."""

    def __init__(self):
        super().__init__()
        self.lin, self.attn = nn.Linear(8, 8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, edges=None):
        if edges is not None:
            x = x + torch.zeros_like(x).index_add(0, edges[1], self.lin(x).index_select(0, edges[0]))
        h = x.unsqueeze(0)
        return self.lin(x + self.attn(h, h, h)[0].squeeze(0))


def test_the_nodes_of_a_graph_are_no_samples():
    ring = torch.arange(6)
    inputs = (torch.rand(6, 8), torch.stack((ring, (ring + 1) % 6)))
    assert check(OverNodes(), inputs, repairs=False, sizes=False, run=False).warnings == ()
    told = check(OverNodes(), inputs[0], repairs=False, sizes=False, run=False).warnings
    assert [finding.rule for finding in told] == ["batch-attention"]
