"""Results at IPython's own prompt, which shows no HTML."""

import pytest
import torch
from IPython.lib.pretty import pretty
from torch import nn

import skipstone
from skipstone.learn.verdict import verdict_of, wrong
from skipstone.programs import explain

NET = nn.Linear(2, 2)


def watched():
    optimizer = torch.optim.SGD(NET.parameters(), lr=0.1)
    with skipstone.watch(NET, optimizer, every=1) as flow:
        NET(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return flow


def failed():
    try:
        NET(torch.ones(1, 3))
    except RuntimeError as error:
        return explain(error)


@pytest.mark.parametrize(
    "make",
    [
        lambda: skipstone.check(NET, (1, 2)),
        lambda: verdict_of("shapes-1", "", [wrong("conv1 is not filled in yet")]),
        lambda: watched().last,
        watched,
        failed,
    ],
    ids=["report", "verdict", "flow", "watch", "explanation"],
)
def test_a_result_is_shown_as_it_prints(make):
    result = make()
    assert pretty(result) == str(result)
