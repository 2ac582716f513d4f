"""Long skips with layers on them go by a named switch."""

import torch
import torch.nn.functional as F
from torch import nn

import skipstone
from skipstone.skips import find_skips


class Bridged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc, self.down, self.low = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 1)
        self.up = nn.Conv2d(8, 8, 3, padding=1)
        self.unit = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        e = F.relu(self.enc(x))
        e = e + F.relu(self.low(e))
        low = F.relu(self.up(F.relu(self.down(e))))
        return self.out(torch.cat((F.interpolate(low, scale_factor=2), self.unit(e)), 1))


def kinds(model: nn.Module) -> list[str]:
    return [skip.kind for skip in find_skips(model, (2, 3, 16, 16)) if skip.is_block_skip]


def test_all_leaves_bridges_unless_asked() -> None:
    model = Bridged().eval()
    assert kinds(model) == ["identity", "bridge"]
    assert kinds(skipstone.ablate(model, "all", (2, 3, 16, 16))) == ["bridge"]
    assert kinds(skipstone.ablate(model, "bridge", (2, 3, 16, 16))) == ["identity"]
    plain = skipstone.ablate(model, "all", (2, 3, 16, 16), bridges=True)
    assert kinds(plain) == []
    x = torch.randn(2, 3, 16, 16)
    low = F.relu(model.up(F.relu(model.down(F.relu(model.low(F.relu(model.enc(x))))))))
    narrow = F.conv2d(F.interpolate(low, scale_factor=2), model.out.weight[:, :8], model.out.bias)
    torch.testing.assert_close(plain(x), narrow)
