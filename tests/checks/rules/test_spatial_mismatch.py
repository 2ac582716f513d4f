"""SpatialMismatch"""

import torch
from torch import nn

from contract import ErrorContract
from networks import Residual, conv
from skipstone.checks import check


class TestSpatialMismatch(ErrorContract):
    rule = "spatial-mismatch"
    shape = (2, 3, 9, 9)

    def broken(self):
        return Residual(conv(3, 3, stride=2), nn.AvgPool2d(2))

    def right(self):
        return Residual(conv(3, 3, stride=2), nn.AvgPool2d(2, ceil_mode=True))


class Levels(nn.Module):
    """A U-Net whose skip was kept behind its pooling: half as large as the map it meets."""

    def __init__(self):
        super().__init__()
        self.down, self.low, self.pool = conv(3, 8), conv(8, 8), nn.MaxPool2d(2)
        self.up, self.out = nn.Upsample(scale_factor=2), nn.Conv2d(16, 1, 1)

    def forward(self, x):
        skip = self.pool(self.down(x))
        return self.out(torch.cat([self.up(self.low(skip)), skip], 1))


class Hint(nn.Module):
    """A stream and a hint of another input, one position larger."""

    def __init__(self):
        super().__init__()
        self.stem, self.hint = conv(3, 8), conv(3, 8, stride=2)

    def forward(self, x, hint):
        return self.stem(x) + self.hint(hint)


def first(model, *shapes):
    repair = check(model, shapes[0] if len(shapes) == 1 else shapes, sizes=False).errors[0].repairs[0]
    return repair, repair.apply(model)(*(torch.randn(shape) for shape in shapes))


def test_convolutions_that_lose_the_border_are_padded_before_the_shortcut_is_touched():
    model = Residual(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 5)))
    repair, out = first(model, (2, 3, 16, 16))
    assert repair.title == "branch.0, branch.2: padding that keeps the size"
    assert out.shape == (2, 3, 16, 16)
    assert repair.apply(model)(torch.randn(2, 3, 21, 7)).shape == (2, 3, 21, 7)  # and at every other size


def test_maps_a_factor_apart_are_resampled_to_the_larger():
    repair, out = first(Levels(), (2, 3, 16, 16))
    assert repair.title == "resample the shortcut (8x8) to the size of the branch (16x16)"
    assert out.shape == (2, 1, 16, 16)


def test_the_stream_of_the_first_input_keeps_its_size():
    repair, out = first(Hint(), (2, 3, 8, 8), (2, 3, 18, 18))
    assert repair.title.startswith("resample") and repair.title.endswith("(8x8)")  # noqa: PT018
    assert out.shape == (2, 8, 8, 8)


def test_the_branch_is_cut_where_the_shortcut_has_the_size_of_what_both_come_from():
    longer = nn.Conv1d(3, 8, 3, padding=2)

    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch, self.short = longer, nn.Conv1d(3, 8, 1)

        def forward(self, x):
            return self.branch(x) + self.short(x)

    repair, out = first(Causal(), (2, 3, 20))
    assert repair.title == "crop the branch (22) to the size of the shortcut (20)"
    assert out.shape == (2, 8, 20)


def test_what_was_resampled_is_resampled_to_the_size_it_meets():
    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.lateral, self.down = conv(3, 8), conv(3, 8, stride=2)

        def forward(self, x):
            return self.lateral(x) + nn.functional.interpolate(self.down(x), scale_factor=2)

    repair, out = first(Pyramid(), (2, 3, 15, 15))
    assert repair.title == "resample the branch (16x16) to the size of the shortcut (15x15)"
    assert out.shape == (2, 8, 15, 15)


def test_a_transposed_convolution_gives_back_what_it_rounded_away():
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.res = nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1), nn.Upsample(scale_factor=2)

        def forward(self, x):
            return torch.relu(self.up(x)) + self.res(x)

    repair, out = first(Generator(), (2, 3, 8, 8))
    assert repair.title == "ConvTranspose2d up: output_padding=(1, 1)"
    assert out.shape == (2, 3, 16, 16)


def test_a_transposed_convolution_behind_a_pool_that_rounded_is_left_as_it_is():
    class Unet(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 3, 2, stride=2)

        def forward(self, x):
            return self.up(nn.functional.max_pool2d(x, 2)) + x

    repair, _ = first(Unet(), (2, 3, 9, 9))
    assert repair.title == "pad the branch (8x8) to the size of the shortcut (9x9)"
    assert repair.apply(Unet())(torch.randn(2, 3, 8, 8)).shape == (2, 3, 8, 8)


def test_a_repair_leaves_alone_a_turn_that_begins_with_a_number():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Conv1d(3, 3, 2) for _ in range(2))

        def forward(self, x):
            total = 0
            for block in self.blocks:
                x = block(x)
                total = total + x
            return total

    _, out = first(Skips(), (2, 3, 20))
    assert out.shape[:2] == (2, 3)


def test_nothing_is_resampled_along_the_batch():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(3, 8)

        def forward(self, x):
            y = self.a(x)
            return y + y.view(-1, 4, 8, 8)[:, :, :4, :4].reshape(-1, 8, 8, 8)

    report = check(Folded(), (8, 3, 8, 8), sizes=False)
    titles = [repair.title for finding in report.errors for repair in finding.repairs]
    assert not any("resample" in title or "pad" in title or "crop" in title for title in titles)
