"""Which autograd node made a tensor, where torch says so."""

from typing import Any

import torch


def grad_fn_of(tensor: torch.Tensor) -> Any:
    """The autograd node that made a tensor; None where there is none, or torch refuses to say.

    It does for a view that was made without gradients and whose memory was written to with them.
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None
