"""The numbers of networks that claims are about: counted, or from passes of a network as built or as its run left it.

Loads torch when a measure is taken, not before: claims are listed without it.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from skipstone.experiments.claims.claim import Measure
from skipstone.experiments.networks import one_thread
from skipstone.runs.records import RunSpec

if TYPE_CHECKING:
    from torch import nn

    from skipstone.data import Splits
    from skipstone.runs.flow import FlowRecord, Reuse

GRADIENT, RATE = 1e-15, 1e-4
"""The tutorials' example: what is left of a gradient after many layers, and the learning rate."""

_OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD with momentum": ("SGD", {"momentum": 0.9}),
    "Adam": ("Adam", {}),
    "Adam with eps 1e-20": ("Adam", {"eps": 1e-20}),
}
OPTIMIZERS = tuple(_OPTIMIZERS)


def _parameters(spec: RunSpec) -> float:
    return float(sum(parameter.numel() for parameter in _outlined(spec).parameters()))


def _last_channels(spec: RunSpec) -> float:
    """What the classifier reads."""
    from torch import nn

    return float([module for module in _outlined(spec).modules() if isinstance(module, nn.Linear)][-1].in_features)


def _gradient_decades(spec: RunSpec) -> float:
    """|log10| of the gradient's norm in the first convolution's weight over that in the last one's; 0: it is kept."""
    layers = [layer for layer in _flow(_built(spec), spec).layers if layer.kind == "conv"]
    first, last = layers[0].grad_norm, layers[-1].grad_norm
    return abs(math.log10(first / last)) if first and last else math.nan


def _older_weights(spec: RunSpec) -> float:
    return _older(spec, lambda reuse: reuse.weight_share)


def _older_gradients(spec: RunSpec) -> float:
    return _older(spec, lambda reuse: reuse.grad_share)


def _older(spec: RunSpec, share: "Callable[[Reuse], float | None]") -> float:
    """The share, a channel, of all operands of a concatenation but the newest, over that of equal use.

    The mean over the concatenations of the trained network: 1 is equal use, 0 none.
    """
    found = []
    for skip in _flow(_trained(spec), spec, skips=True).skips:
        shares = [value for reuse in skip.reuse if (value := share(reuse)) is not None]
        if len(shares) > 1:
            found.append(sum(shares[:-1]) / (1 - 1 / len(shares)))
    return fmean(found)


def _skip_worth(spec: RunSpec) -> float:
    """Test accuracy lost without one skip, batch norm recalibrated: the mean over skips taken out one at a time."""
    from skipstone.experiments.ablation import worth_of_skips

    with one_thread():
        worths = worth_of_skips(_trained(spec), _data(spec))
    return fmean(worths.intact.last - worth.without.last for worth in worths.skips)


def moved(form: str, optimizer: str) -> Measure:
    """How many weights (of convolutions and linear layers) one step moves, each given a gradient of 1e-15, at 1e-4."""
    return Measure(
        "weights moved by one step", "weights", lambda spec: _moved(spec, form, optimizer), trained=False, exact=True
    )


def _moved(spec: RunSpec, form: str, optimizer: str) -> float:
    import torch

    weights = [p.detach().to(getattr(torch, form)) for p in _built(spec).parameters() if p.ndim > 1]
    before = [weight.clone() for weight in weights]
    for weight in weights:
        weight.requires_grad_().grad = torch.full_like(weight, GRADIENT)
    name, settings = _OPTIMIZERS[optimizer]
    getattr(torch.optim, name)(weights, lr=RATE, **settings).step()
    return float(sum(int((a != b).sum()) for a, b in zip(weights, before, strict=True)))


PARAMETERS = Measure("parameters", "parameters", _parameters, trained=False, exact=True)
LAST_CHANNELS = Measure("channels that the classifier reads", "channels", _last_channels, trained=False, exact=True)
GRADIENT_DECADES = Measure(
    "decades between the gradients of first and last convolution", "decades", _gradient_decades, trained=False
)
OLDER_WEIGHTS = Measure("use of older maps, by the weights that read them", "times", _older_weights)
OLDER_GRADIENTS = Measure("use of older maps, by the gradient that reaches them", "times", _older_gradients)
SKIP_WORTH = Measure("test accuracy lost without one skip", "%", _skip_worth, bound=1.0)


# ---- the networks


@cache
def _loaded(name: str, folder: str | None, val_fraction: float, split_seed: int) -> "Splits":
    from skipstone.data import load

    return load(name, folder, val_fraction=val_fraction, split_seed=split_seed)


def _data(spec: RunSpec) -> "Splits":
    return _loaded(spec.data, spec.data_dir, spec.val_fraction, spec.split_seed)


def _built(spec: RunSpec) -> "nn.Module":
    """The network as its run's seed initialises it."""
    from skipstone.training.model import build_model
    from skipstone.training.trial import seeded_build

    data = _data(spec)
    return seeded_build(lambda: build_model(spec, data.shape, data.num_classes), spec.seed)


def _outlined(spec: RunSpec) -> "nn.Module":
    """The network without numbers, to be counted."""
    import torch

    with torch.device("meta"):
        return _built(spec)


def _trained(spec: RunSpec) -> "nn.Module":
    from skipstone.training.weights import load_weights

    network = _built(spec)
    load_weights(network, Path(str(spec.out)))
    return network


def _flow(network: "nn.Module", spec: RunSpec, *, skips: bool = False) -> "FlowRecord":
    """Of the first batch of training images, in train mode."""
    from skipstone.data import Pixels
    from skipstone.flow import gradient_flow

    images = _data(spec).train[: spec.recipe.batch_size]
    batch = (Pixels.of(_data(spec).train).normalise(images.pixels), images.labels)
    with one_thread():
        return gradient_flow(network.train(), batch, skips=skips)
