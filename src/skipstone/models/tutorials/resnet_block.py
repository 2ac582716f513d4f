"""A residual block from 64 to 128 channels without a projection, and with one.

y = relu(x + bn2(conv2(relu(bn1(conv1(x))))))            64 channels cannot be added to 128
y = relu(project(x) + bn2(conv2(relu(bn1(conv1(x))))))   a 1x1 convolution makes 128 of 64
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ResNetBlock(nn.Module):
    """Broken unless `in_channels == out_channels`: (N, in_channels, H, W) to (N, out_channels, H, W)."""

    def __init__(self, in_channels: int = 64, out_channels: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(x + out)


class ResNetBlockRepaired(nn.Module):
    """The repair: a 1x1 convolution with batch norm as shortcut. (N, in_channels, H, W) to (N, out_channels, H, W)."""

    def __init__(self, in_channels: int = 64, out_channels: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.project = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(self.project(x) + out)
