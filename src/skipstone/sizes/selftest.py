"""On a torch that nothing here was run with: are the legal sizes of a known network what they should be?"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from skipstone.core.sizes import SizeReport

_ASKED = range(4, 13)
_KNOWN = (4, 8, 12)


class _Known(nn.Module):
    """A U shape with a padded convolution, a norm, a pooling and a concatenation; each halving must come out even."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm(self.down(x)))
        y = torch.cat((y, F.interpolate(F.max_pool2d(y, 2), scale_factor=2.0)), 1)
        return x + self.up(y[:, :4] * y[:, 4:])  # type: ignore[no-any-return]


def sizes_differ(legal_sizes: Callable[..., SizeReport]) -> str | None:
    """The legal sizes of the known network where they are not as known; None where they are."""
    report = legal_sizes(_Known(), (2, 3, "h", 8), h=_ASKED)
    found = tuple(sorted(report.legal))
    return None if found == _KNOWN else f"{report.axes[0].legal_text} legal, where every fourth is"
