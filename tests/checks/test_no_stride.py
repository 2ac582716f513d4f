"""`x + conv(conv(x))` whose convolutions halve the map: they are made to keep it, before the shortcut is cut to fit."""

import pytest
import torch
from torch import nn

from networks import conv
from skipstone import check, legal_sizes


class Shrinking(nn.Module):
    """The two tutorials' block; `stride` 1 and `padding` 'same' are right."""

    def __init__(self, kernel: int = 2, stride: int = 2, padding: int | str = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, kernel, stride, padding)
        self.second = nn.Conv2d(3, 3, kernel, stride, padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


def test_the_convolutions_keep_the_size_and_every_size_becomes_legal():
    model = Shrinking()
    (finding,) = check(model, (2, 3, 32, 32)).errors
    repair = finding.repairs[0]
    assert repair.title == "first, second: stride 1 and padding 'same'"
    assert repair.cost.num_parameters == 0
    mended = repair.apply(model)
    assert mended(torch.randn(2, 3, 31, 17)).shape == (2, 3, 31, 17)
    assert str(legal_sizes(mended, (2, 3, "h", "h"), h=range(1, 33)).rule).startswith("every")
    assert model.first.stride == (2, 2)


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_shortcut_that_can_follow_at_every_size_comes_first(kernel):
    """A residual block that halves on purpose wants a projection, as in ResNet."""

    class Halving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3, 8, kernel, 2), conv(8, 8, kernel)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.second(torch.relu(self.first(x)))

    (finding,) = check(Halving(), (2, 3, 32, 32)).errors
    assert finding.repairs[0].title.startswith("projection")
