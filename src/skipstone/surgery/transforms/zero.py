"""Zeros of the operand's shape."""

import torch

from skipstone.surgery.transforms.meaning import Meaning

MEANING = Meaning(
    lambda use: lambda x, like, holder: torch.zeros_like(x),
    lambda use, x, like: f"torch.zeros_like({x})",
    "put zeros in place of {operand}",
)
