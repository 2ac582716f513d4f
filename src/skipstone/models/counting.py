"""What a reference network costs for one example of its family's shape, without building its weights."""

from collections.abc import Mapping

import torch

from skipstone.core.cost import Cost
from skipstone.graphs.costs import cost
from skipstone.models.registry import create, family_of
from skipstone.tracing import trace


def costs(name: str, *, input_shape: tuple[int, ...] | None = None, **options: object) -> Cost:
    """Parameters, multiply-adds and activation bytes of the network `name` in evaluation mode.

    `input_shape` is one example without the batch axis, by default the family's own with the network's `in_channels`;
    `options` and errors are those of `create`. Multiply-adds are those of convolutions and linear layers, without bias.

    >>> costs("resnet20").macs
    40551040
    """
    with torch.device("meta"):
        network = create(name, **options).eval()
    if input_shape is None:
        input_shape = _example_shape(name, options)
    return cost(trace(network, (1, *input_shape)))


def _example_shape(name: str, options: Mapping[str, object]) -> tuple[int, ...]:
    channels, size, *_ = family_of(name).input_shape
    channels_asked, dims = options.get("in_channels", channels), options.get("dims", 2)
    assert isinstance(channels_asked, int)
    assert isinstance(dims, int)
    return channels_asked, *[size] * dims
