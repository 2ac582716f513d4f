"""The loss along a direction in weight space, with the filter normalisation of Li et al. 2018 (1712.09913, section 4).

A network with ReLU computes the same with one layer's weights times 10 and the next one's divided by 10, and its loss
along a random direction does not look the same. Scaling each filter of the direction to the norm of the network's own
filter takes that freedom out.

Cost: one forward pass over the data a point. Decision: how flat two trained networks' minima are, side by side; single
slices say little about a loss in millions of dimensions.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

Direction = Mapping[str, Tensor]


def filter_normalised(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A random direction, each filter as long as the network's own: d_f ‖w_f‖ / ‖d_f‖, by parameter name.

    Filters lie along axis 0. Zero for what has one axis (biases, norms) and for frozen parameters.
    """
    random = torch.Generator().manual_seed(seed)
    direction = {}
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=random).to(parameter)
        if parameter.ndim < 2 or not parameter.requires_grad:
            direction[name] = torch.zeros_like(parameter)
            continue
        sizes, lengths = (t.detach().flatten(1).norm(dim=1) for t in (parameter, drawn))
        factor = sizes / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)
        direction[name] = drawn * factor.view(-1, *([1] * (parameter.ndim - 1)))
    return direction


def loss_slice(
    model: nn.Module, loss: Callable[[Callable[..., Tensor]], Tensor], direction: Direction, at: Sequence[float]
) -> list[float]:
    """The loss at weights + t * direction for each t; the model keeps its weights and buffers.

    `loss` is given what stands for the model (`lambda net: cross_entropy(net(images), labels)`) and gives a scalar.
    """
    losses = []
    buffers = {name: buffer.detach() for name, buffer in model.named_buffers()}
    with torch.no_grad():
        for t in at:
            moved = {name: p + t * direction[name] if name in direction else p for name, p in model.named_parameters()}
            held = {name: buffer.clone() for name, buffer in buffers.items()}

            def net(*args: object, state: dict[str, Tensor] = {**moved, **held}, **kwargs: object) -> Tensor:  # noqa: B006
                output: Tensor = functional_call(model, state, args, kwargs)
                return output

            losses.append(float(loss(net)))
    return losses
