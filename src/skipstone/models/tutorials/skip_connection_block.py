"""Two convolutions, concatenated with their own input along the channels.

y = cat(conv2(relu(conv1(x))), x)     C -> out_channels + C
"""

import torch
from torch import Tensor, nn


class SkipConnectionBlock(nn.Module):
    """(N, in_channels, H, W) to (N, out_channels + in_channels, H, W): whatever follows must expect the sum of both."""

    def __init__(self, in_channels: int = 32, out_channels: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.conv1(x)))
        return torch.cat((out, x), dim=1)
