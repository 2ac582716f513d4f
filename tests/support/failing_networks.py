"""Networks of the kinds that people bring with a traceback."""

import torch
from torch import nn


class Widening(nn.Module):
    """Adds 3 channels to 8."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return x + scale * self.conv(x)


class Overwriting(nn.Module):
    """Adds in place to what the next layer saved."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.sigmoid(self.a(x))
        y += self.b(y)
        return y


class Residual(nn.Module):
    """Nothing is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.conv(x))


class Picky(nn.Module):
    """Raises for a reason that no shape shows."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Residual()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        if not torch.isfinite(x).all():
            raise ValueError("not finite")
        return y
