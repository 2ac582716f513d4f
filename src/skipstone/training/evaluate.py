"""Loss and accuracy of a network on a set of images."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.data import Images, Pixels
from skipstone.training.ranks import ALONE, Ranks

BATCH = 500
"""Images at a time, the last batch smaller."""


def evaluate(
    model: nn.Module, images: Images, pixels: Pixels, ranks: Ranks = ALONE, *, flip_average: bool = False
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy as a fraction) in eval mode, without augmentation.

    `model` maps (N, C, H, W) float32 to logits (N, classes), or (N, classes, H, W) where each pixel has a label, and
    the answer is a mean over pixels; it is left in eval mode. Works on the device of `pixels`. With `flip_average` the
    logits are the mean of those of an image and its mirror image (over the last axis). The processes of `ranks` share
    the batches among them, and all have the same answer.
    """
    model.eval()
    device = pixels.mean.device
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    with torch.no_grad():
        batches = list(zip(torch.split(images.pixels, BATCH), torch.split(images.labels, BATCH), strict=True))
        for x, y in batches[ranks.rank :: ranks.world]:
            labels = y.to(device)
            inputs = pixels.normalise(x.to(device))
            logits = model(inputs)
            if flip_average:
                mirrored = model(inputs.flip(-1))
                logits = (logits + (mirrored.flip(-1) if mirrored.ndim > 2 else mirrored)) / 2
            loss = F.cross_entropy(logits, labels, reduction="sum")
            totals += torch.stack([loss.double(), (logits.argmax(1) == labels).sum().double()])
    loss_sum, correct = ranks.sum(totals).tolist()
    count = len(images) * labels_each(images.labels)
    return loss_sum / count, correct / count


def labels_each(labels: Tensor) -> int:
    """How many labels one image has: 1, or as many as pixels; of (N, ...) labels."""
    return labels[0].numel()
