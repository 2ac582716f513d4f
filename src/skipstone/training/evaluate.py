"""Loss and accuracy of a network on a set of images."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.data import Images, Pixels
from skipstone.runs.records import Views
from skipstone.training.ranks import ALONE, Ranks

BATCH = 500
"""Images at a time, the last batch smaller."""

_CORNERS = ((0, 0), (2, 2))  # of the two further crops, out of an image with one more pixel on each side


def evaluate(
    model: nn.Module, images: Images, pixels: Pixels, ranks: Ranks = ALONE, *, views: Views = 1
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy as a fraction) in eval mode, without augmentation.

    `model` maps (N, C, H, W) float32 to logits (N, classes), or (N, classes, H, W) where each pixel has a label, and
    the answer is a mean over pixels; it is left in eval mode. Works on the device of `pixels`. With 2 `views` the
    logits are the mean of those of an image and its mirror image (over the last axis); of 6 the others are both of
    these moved by a pixel to two corners, each counting half (Jordan 2024, 2404.00498). The processes of
    `ranks` share the batches among them, and all have the same answer.
    """
    model.eval()
    device = pixels.mean.device
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    with torch.no_grad():
        batches = list(zip(torch.split(images.pixels, BATCH), torch.split(images.labels, BATCH), strict=True))
        for x, y in batches[ranks.rank :: ranks.world]:
            labels = y.to(device)
            logits = _logits(model, pixels.normalise(x.to(device)), views)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            totals += torch.stack([loss.double(), (logits.argmax(1) == labels).sum().double()])
    loss_sum, correct = ranks.sum(totals).tolist()
    count = len(images) * labels_each(images.labels)
    return loss_sum / count, correct / count


def _logits(model: nn.Module, inputs: Tensor, views: Views) -> Tensor:
    if views == 1:
        return cast(Tensor, model(inputs))
    logits = _both_sides(model, inputs)
    if views == 2:
        return logits
    height, width = inputs.shape[-2:]
    wider = F.pad(inputs, (1, 1, 1, 1), mode="replicate")
    moved = [_both_sides(model, wider[..., y : y + height, x : x + width]) for y, x in _CORNERS]
    return (logits + torch.stack(moved).mean(0)) / 2


def _both_sides(model: nn.Module, inputs: Tensor) -> Tensor:
    """The mean of the logits of images and of their mirror images; maps of logits are mirrored back."""
    logits, mirrored = model(inputs), model(inputs.flip(-1))
    return cast(Tensor, (logits + (mirrored.flip(-1) if mirrored.ndim > 2 else mirrored)) / 2)


def labels_each(labels: Tensor) -> int:
    """How many labels one image has: 1, or as many as pixels; of (N, ...) labels."""
    return labels[0].numel()
