"""What a reference network costs for one example of its family's shape, without building its weights."""

import torch

from skipstone.core.cost import Cost
from skipstone.models.registry import create, family_of
from skipstone.tracing import trace
from skipstone.tracing.costs import cost


def costs(name: str, *, input_shape: tuple[int, ...] | None = None, **options: object) -> Cost:
    """Parameters, multiply-adds and activation bytes of the network `name` in evaluation mode.

    `input_shape` is one example without the batch axis, by default the family's own with the network's `in_channels`;
    `options` and errors are those of `create`. Multiply-adds are those of convolutions and linear layers, without bias.

    >>> costs("resnet20").macs
    40551040
    """
    if input_shape is None:
        channels, *sizes = family_of(name).input_shape
        channels = options["in_channels"] if isinstance(options.get("in_channels"), int) else channels  # type: ignore[assignment]
        input_shape = (channels, *sizes)
    with torch.device("meta"):
        network = create(name, **options).eval()
    return cost(trace(network, (1, *input_shape)))
