"""A change of number format as a module."""

import torch
from torch import Tensor, nn


class Cast(nn.Module):
    """The input in another format, by torch's name for it: `Cast("bfloat16")(x)` is `x.to(torch.bfloat16)`."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        if not isinstance(getattr(torch, dtype, None), torch.dtype):
            raise ValueError(f"dtype must be the name of a torch.dtype such as 'float32', not {dtype!r}")
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(getattr(torch, self.dtype))

    def extra_repr(self) -> str:
        return self.dtype
