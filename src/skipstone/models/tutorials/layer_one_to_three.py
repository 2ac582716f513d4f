"""A CIFAR network whose first layer is added to its third, through a 1x1 convolution and a pooling.

    a1 = pool2(relu(conv1(x)))     3 -> 16 channels
    a2 = pool2(relu(conv2(a1)))   16 -> 32
    a3 = pool2(relu(conv3(a2)))   32 -> 64
    y  = a3 + pool4(project(a1))  or  a3 + project(pool4(a1))

For a 32x32 image a1 is 16x16x16 and a3 is 64x4x4, so the skip must make 64 channels of 16 and 4x4 of 16x16. Both orders
do, for every image of at least 8x8: floor(floor(h/2)/4) = floor(h/8). Projecting first costs 16·64·16·16 = 262,144
multiply-adds, pooling first 16·64·4·4 = 16,384. With average pooling the two are the same function, because both are
linear and act on different axes; with max pooling they are two different functions, and pooling first is a change of
the network.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.models.options import one_of


class LayerOneToThree(nn.Module):
    """Images (N, in_channels, H, W), H and W at least 8, to (N, 64, H//8, W//8), or to logits (N, num_classes).

    `pool` ("max" as in the tutorial, or "avg") is the 4x4 pooling on the skip; `pool_first` puts it before the 1x1
    convolution. Without `num_classes` the sum itself is returned.
    """

    def __init__(
        self, num_classes: int | None = None, *, in_channels: int = 3, pool: str = "max", pool_first: bool = False
    ) -> None:
        super().__init__()
        one_of("pool", pool, ("max", "avg"))
        self.conv1 = nn.Conv2d(in_channels, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.halve = nn.MaxPool2d(2)
        self.project = nn.Conv2d(16, 64, kernel_size=1)
        self.pool = nn.MaxPool2d(4) if pool == "max" else nn.AvgPool2d(4)
        self.pool_first = pool_first
        self.head = None if num_classes is None else nn.Linear(64, num_classes)

    def activations(self, x: Tensor) -> dict[str, Tensor]:
        """The tensors of the tutorial by its own names: `a1_` before the pooling of layer 1, `a1` after it, and so on.

        Shapes for a (B, 3, 32, 32) image: a1_ (B, 16, 32, 32), a1 (B, 16, 16, 16), a2_ (B, 32, 16, 16), a2 (B, 32, 8,
        8), a3_ (B, 64, 8, 8), a3 (B, 64, 4, 4).
        """
        a1_ = F.relu(self.conv1(x))
        a1 = self.halve(a1_)
        a2_ = F.relu(self.conv2(a1))
        a2 = self.halve(a2_)
        a3_ = F.relu(self.conv3(a2))
        a3 = self.halve(a3_)
        return {"a1_": a1_, "a1": a1, "a2_": a2_, "a2": a2, "a3_": a3_, "a3": a3}

    def skip(self, a1: Tensor) -> Tensor:
        """The output of layer 1, (B, 16, h, w), in the shape of layer 3's, (B, 64, h//4, w//4)."""
        shortcut: Tensor = self.project(self.pool(a1)) if self.pool_first else self.pool(self.project(a1))
        return shortcut

    def forward(self, x: Tensor) -> Tensor:
        layers = self.activations(x)
        y = layers["a3"] + self.skip(layers["a1"])
        if self.head is None:
            return y
        logits: Tensor = self.head(torch.mean(y, dim=(2, 3)))
        return logits
