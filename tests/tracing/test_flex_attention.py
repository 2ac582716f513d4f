"""Flexible attention: recorded and run as the operations it stands for, its masks and scores with it, on CPUs too."""

import threading

import pytest
import torch
from torch import nn
from torch.nn.attention import flex_attention as flex

from skipstone.checks import check
from skipstone.skips import find_skips
from skipstone.tracing import trace
from skipstone.tracing.torch_internals import flex_attention_spelled_out

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler, as it imports its parts
TOKENS = (2, 128, 32)
SPELLED_OUT = hasattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG")
recorded = pytest.mark.skipif(not SPELLED_OUT, reason="this torch (2.6) has no way to spell flexible attention out")


class Block(nn.Module):
    def __init__(self, attend, width: int = 32) -> None:
        super().__init__()
        self.attend, self.qkv = attend, nn.Linear(32, 96)
        self.table = nn.Parameter(torch.zeros(2, 255))
        self.out, self.mlp = nn.Linear(width, 32), nn.Linear(32, 32)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 16)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        x = x + self.out(self.attend(self, q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


def causal(m, q, k, v):
    mask = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, q.shape[2], k.shape[2], device=q.device)
    return flex.flex_attention(q, k, v, block_mask=mask)


FORMS = {
    "plain": lambda m, q, k, v: flex.flex_attention(q, k, v),
    "causal": causal,
    "distances": lambda m, q, k, v: flex.flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + (i - j)),
    "a table": lambda m, q, k, v: flex.flex_attention(
        q, k, v, score_mod=lambda s, b, h, i, j: s + m.table[h, i - j + 127]
    ),
}


@recorded
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_recorded_whole(name: str, training: bool) -> None:
    graph = trace(Block(FORMS[name]).train(training), TOKENS)
    assert graph.stopped is None
    assert graph.failures == ()
    assert [skip.kind for skip in find_skips(graph) if skip.kind != "trivial"] == ["identity", "identity"]
    unreached = {parameter.name for parameter in graph.parameters if not parameter.reached}
    assert unreached == (set() if name == "a table" else {"table"})


@pytest.mark.skipif(SPELLED_OUT, reason="this torch spells flexible attention out")
def test_where_it_cannot_be_the_record_stops_at_it_and_blames_nobody() -> None:
    stopped = trace(Block(FORMS["plain"]), TOKENS).stopped
    assert stopped is not None
    assert "flex_attention" in stopped.message
    assert check(Block(FORMS["plain"]), TOKENS, sizes=False).errors == ()


@recorded
def test_no_device_is_blamed_and_a_fault_is_found() -> None:
    assert check(Block(FORMS["plain"]), TOKENS, sizes=False).errors == ()
    assert [f.rule for f in check(Block(FORMS["plain"], width=48), TOKENS, sizes=False).errors] == ["wrong-width"]


@recorded
def test_torch_is_as_before_and_other_threads_see_nothing() -> None:
    names = ("flex_attention_hop", "_validate_device", "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG")
    before = [getattr(flex, name) for name in names]
    refused: list[str] = []
    wanting = torch.zeros(1, requires_grad=True)

    def ask() -> None:
        try:
            flex._validate_device(wanting, wanting, wanting)
        except NotImplementedError as error:
            refused.append(str(error))

    with flex_attention_spelled_out():
        ask()
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert [getattr(flex, name) for name in names] == before
