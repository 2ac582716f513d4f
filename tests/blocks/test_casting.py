"""The change of number format: what it gives, and what it says of a name that is none."""

import pytest
import torch

from skipstone.blocks.parts.casting import Cast


def test_the_format_changes_and_the_gradient_comes_back():
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    y = Cast("bfloat16")(x)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert x.grad.dtype == torch.float64


def test_no_such_format():
    with pytest.raises(ValueError, match=r"dtype must be the name of a torch.dtype such as 'float32', not 'floaty'"):
        Cast("floaty")
