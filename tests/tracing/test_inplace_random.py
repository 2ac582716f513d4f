"""Random networks that write in place, each against its real backward pass: none missed, no false error."""

import random

import pytest
import torch
from torch import nn

from skipstone.tracing import trace

SHAPE = (3, 4, 4)
UNARY = (torch.tanh, torch.sigmoid, torch.relu, torch.exp, torch.clone, lambda t: t * 2, lambda t: t**2, torch.sin)
BINARY = (torch.add, torch.mul, torch.sub, torch.maximum, torch.matmul)
VIEWS = (
    lambda t: t[:, :2], lambda t: t[:, 2:], lambda t: t.transpose(1, 2), lambda t: t[0], lambda t: t.view(3, 16),
    lambda t: t.detach(), lambda t: t.select(2, 1),
)  # fmt: skip
WRITES = (
    lambda t: t.mul_(2), lambda t: t.add_(1), lambda t: t.relu_(), lambda t: t.tanh_(), lambda t: t.mul_(t),
    lambda t: t.div_(3.0), lambda t: t.sigmoid_(), lambda t: t.zero_(), lambda t: t.__setitem__(0, 0.5),
    lambda t: t.clamp_(min=0), lambda t: t.copy_(t.detach().clone()),
)  # fmt: skip


def steps(seed: int):
    """A function of one tensor, drawn from the seed: the same operations at every call."""

    def run(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
        draw = random.Random(seed)
        whole, views = [layer(x)], []
        for _ in range(draw.randint(2, 7)):
            kind = draw.random()
            if kind < 0.3:
                whole.append(draw.choice(UNARY)(draw.choice(whole)))
            elif kind < 0.45:
                whole.append(draw.choice(BINARY)(draw.choice(whole), draw.choice(whole)))
            elif kind < 0.6:
                views.append(draw.choice(VIEWS)(draw.choice(whole)))
            elif kind < 0.7:
                target, source = draw.choice(whole), draw.choice(whole)
                target[:, :2] *= source[:, 2:]
            else:
                target = draw.choice(draw.choice([whole, views or whole]))
                with torch.set_grad_enabled(draw.random() > 0.15):
                    draw.choice(WRITES)(target)
        return whole if draw.random() < 0.5 else whole[-1:]

    return run


class Drawn(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.layer, self.run = nn.Linear(4, 4), steps(seed)

    def forward(self, x):
        return self.run(self.layer, x)


def real(model: nn.Module) -> str | None:
    """None where the backward pass runs; else what it or the forward pass is refused for."""
    try:
        outputs = [output for output in model(torch.randn(SHAPE)) if output.requires_grad]
    except RuntimeError as error:
        return f"forward: {error}"
    try:
        sum(output.sum() for output in outputs).backward() if outputs else None
    except RuntimeError as error:
        return str(error)
    return None


def disagreements(seeds: range) -> tuple[list[int], list[int], int]:
    """Seeds whose refusal was missed, seeds with a false one, and how many really refused."""
    missed, false, refused = [], [], 0
    for seed in seeds:
        said = real(Drawn(seed))
        if said is not None and "modified by an inplace operation" not in said:
            continue  # refused in the forward pass, or for another reason
        graph = trace(Drawn(seed), SHAPE)
        refused += said is not None
        if bool(graph.refusals) != (said is not None):
            (missed if said is not None else false).append(seed)
    return missed, false, refused


def test_some_hundred() -> None:
    missed, false, refused = disagreements(range(300))
    assert refused > 50
    assert (missed, false) == ([], [])


@pytest.mark.slow
def test_four_thousand() -> None:
    missed, false, _ = disagreements(range(300, 4300))
    assert (missed, false) == ([], [])
