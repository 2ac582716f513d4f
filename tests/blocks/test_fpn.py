"""FPN: sizes kept, and the closed form of the top-down sum."""

import torch
import torch.nn.functional as F

from skipstone.blocks.fpn import FPN


def test_every_map_keeps_its_size_odd_ones_too() -> None:
    maps = [torch.randn(1, c, s, s + 2) for c, s in ((4, 13), (8, 7), (16, 3))]
    made = FPN((4, 8, 16), 6)(maps)
    assert [tuple(y.shape) for y in made] == [(1, 6, *x.shape[2:]) for x in maps]


def test_each_map_is_its_lateral_plus_all_coarser_ones_resized() -> None:
    torch.manual_seed(0)
    fpn = FPN((4, 8, 16), 6).double()
    maps = [torch.randn(1, c, s, s, dtype=torch.float64) for c, s in ((4, 16), (8, 8), (16, 4))]
    laterals = [lateral(x) for lateral, x in zip(fpn.lateral, maps, strict=True)]
    for index, y in enumerate(fpn(maps)):
        size = maps[index].shape[2:]
        total = sum(F.interpolate(one, size, mode="nearest") for one in laterals[index:])
        torch.testing.assert_close(y, fpn.smooth[index](total), rtol=0, atol=1e-12)
