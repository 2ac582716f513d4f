"""The singular values of a network's input-output Jacobian (Saxe et al. 2013, 1312.6120; Pennington et al. 2017,
1711.04735): all near 1, and gradients keep their size in every direction.

Cost: as many backward passes as the output has numbers, done at once, and outputs x inputs numbers of memory. Decision:
the scale of residual branches (1/L, L**-0.5, ReZero) and of the initialisation, before anything is trained.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def singular_values(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The singular values of d function(x) / dx, largest first, for one input `x` of any shape, in float64.

    (in ...) -> (min(outputs, inputs),). The function may be a module; it is called with exactly `x`.
    """
    jacobian = torch.autograd.functional.jacobian(function, x, vectorize=True)  # type: ignore[no-untyped-call]
    found: Tensor = torch.linalg.svdvals(jacobian.detach().double().reshape(-1, x.numel()))
    return found
