"""Lost in rounding: told where the sum is the shortcut bit for bit; silent in float32 and where the scale learns."""

import pytest
import torch
from torch import nn


class Scaled(nn.Module):
    """x + gamma * linear(x), with gamma learned."""

    def __init__(self, gamma, dtype):
        super().__init__()
        self.linear = nn.Linear(8, 8, dtype=dtype)
        self.gamma = nn.Parameter(torch.full((8,), gamma, dtype=dtype))

    def forward(self, x):
        return x + self.gamma * self.linear(x)


@pytest.mark.parametrize(
    ("gamma", "dtype", "told"),
    [
        (1e-6, torch.bfloat16, True),
        (1e-6, torch.float16, True),
        (1e-6, torch.float32, False),
        (0.1, torch.bfloat16, False),
        (0.0, torch.bfloat16, False),  # ReZero: zero on purpose, and it learns
    ],
)
def test_a_branch_lost_in_rounding(notes, gamma, dtype, told):
    model, x = Scaled(gamma, dtype), torch.randn(4, 8).to(dtype)
    assert [note.rule for note in notes(model, x)] == ["lost-in-rounding"] * told
    if told:
        assert torch.equal(model(x), x)


def test_text(notes, text, golden):
    x = torch.randn(4, 8).to(torch.bfloat16)
    golden("lost-in-rounding.txt", text(notes(Scaled(1e-6, torch.bfloat16), x)[0]))
