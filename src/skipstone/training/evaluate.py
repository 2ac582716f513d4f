"""Loss and accuracy of a network on a set of images."""

import torch
from torch import nn
from torch.nn import functional as F

from skipstone.data import Images, Pixels

BATCH = 500
"""Images at a time, the last batch smaller."""


def evaluate(model: nn.Module, images: Images, pixels: Pixels) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy as a fraction) in eval mode, without augmentation.

    `model` maps (N, C, H, W) float32 to logits (N, classes); it is left in eval mode. Works on the device of `pixels`.
    """
    model.eval()
    device = pixels.mean.device
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    with torch.no_grad():
        for x, y in zip(torch.split(images.pixels, BATCH), torch.split(images.labels, BATCH), strict=True):
            labels = y.to(device)
            logits = model(pixels.normalise(x.to(device)))
            loss = F.cross_entropy(logits, labels, reduction="sum")
            totals += torch.stack([loss.double(), (logits.argmax(1) == labels).sum().double()])
    loss_sum, correct = totals.tolist()
    return loss_sum / len(images), correct / len(images)
