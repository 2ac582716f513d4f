"""Two convolutions of kernel 2, stride 2, padding 2, and the input added back: the addition that cannot work.

    y = x + relu(conv2(relu(conv1(x))))     3 -> 6 -> 3 channels

Two tutorials print (1, 3, 32, 32) for it. In truth each convolution makes h//2 + 2 of h, 32 becomes 18 and then 11, and
an 11x11 map cannot be added to a 32x32 one. h//2 + 2 = h holds for h = 3 and h = 4 alone. At h = 1 the code runs,
because a 1x1 image broadcasts against the 3x3 map: the sum is no residual.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class TwoConvResidual(nn.Module):
    """Broken: images (N, 3, H, W) only with H and W both in {3, 4}; 1 runs by broadcasting, every other size fails."""

    def __init__(self, channels: int = 3, hidden: int = 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, kernel_size=2, stride=2, padding=2)
        self.conv2 = nn.Conv2d(hidden, channels, kernel_size=2, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv1(x))
        out = F.relu(self.conv2(out))
        return x + out


class TwoConvResidualRepaired(nn.Module):
    """The repair: kernel 3, stride 1, padding 1 keep every size, and (1, 3, 32, 32) comes out as printed."""

    def __init__(self, channels: int = 3, hidden: int = 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, kernel_size=3, stride=1, padding=1)
        self.conv2 = nn.Conv2d(hidden, channels, kernel_size=3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv1(x))
        out = F.relu(self.conv2(out))
        return x + out
