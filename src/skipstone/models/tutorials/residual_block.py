"""The residual block as most tutorials write it: right as long as nobody changes the number of channels.

y = relu(x + bn2(conv2(relu(bn1(conv1(x))))))     convolutions 3x3, padding 1
"""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """(N, in_channels, H, W) to (N, out_channels, H, W); only equal numbers of channels can be added."""

    def __init__(self, in_channels: int = 16, out_channels: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + identity
        activated: Tensor = self.relu(out)
        return activated
