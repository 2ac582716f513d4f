"""How alike the gradients at neighbouring inputs are (Balduzzi et al. 2017, 1702.08591, section 2).

A network whose input gradients look like white noise (*shattered*) has no direction that helps for more than one input.
In our measurements shattering is mostly a matter of deep plain networks with batch norm, and a small factor on the
branches keeps more than a skip alone: see docs/flow.md.

Cost: one forward and backward pass over the whole line of inputs. Decision: a lag-1 autocorrelation near 0 asks for
skips, and for branches scaled down.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def autocorrelation(values: Tensor, lags: Sequence[int]) -> list[float]:
    """The correlation of a (N,) series with itself `lag` further on, c about its mean: sum c_i c_(i+lag) / sum c_i²."""
    centred = values.detach().double() - values.detach().double().mean()
    whole = float(centred @ centred)
    return [float(centred[: len(centred) - lag] @ centred[lag:]) / whole if whole else 1.0 for lag in lags]


def gradient_autocorrelation(model: nn.Module, line: Tensor, lags: Sequence[int] = (1, 10)) -> list[float]:
    """The autocorrelation of d(sum of outputs) / d(position) along a line of inputs, in the model's present mode.

    `line` (N, ...) holds neighbouring inputs in order; each gradient is projected on the line's own direction, from the
    first input to the last. Freeze batch statistics (`eval()`) where inputs are not to see one another.
    """
    inputs = line.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(inputs).sum(), inputs)
    along = (line[-1] - line[0]).detach().flatten()
    return autocorrelation(gradient.flatten(1) @ (along / along.norm()), lags)
