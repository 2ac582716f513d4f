"""Exact numbers of parameters and multiply-adds, of networks built without memory and recorded without computing."""

from itertools import pairwise

import pytest
import torch

from skipstone import models
from skipstone.graphs.costs import cost, uncounted
from skipstone.tracing import trace

# name, options, parameters, multiply-adds for one example (None: no closed form at hand)
COUNTS = [
    ("resnet9", {}, 6_573_120, 379_261_952),
    ("resnet164", {}, 1_704_154, None),
    ("resnet1001", {}, 10_328_602, None),
    ("preact110", {}, 1_727_962, None),
    ("preact110", {"shortcut": "B"}, 1_730_522, None),
    ("preact164", {}, 1_703_258, 247_646_720),
    ("preact1001", {}, 10_327_706, None),
    ("wrn16_4", {}, 2_748_890, 392_612_352),
    ("wrn16_8", {}, 10_961_370, None),
    ("wrn22_8", {}, 17_158_106, None),
    ("wrn28_10", {}, 36_479_194, 5_243_328_768),
    ("wrn28_12", {}, 52_517_850, None),
    ("wrn40_1", {}, 563_930, None),
    ("wrn40_2", {}, 2_243_546, None),
    ("wrn40_4", {}, 8_949_210, None),
    ("densenet40_12", {}, 1_019_722, 264_812_928),
    ("densenet100_12", {}, 6_979_642, None),
    ("densenet100_24", {}, 27_249_082, None),
    ("densenet_bc100_12", {}, 769_162, 287_929_692),
    ("densenet_bc250_24", {}, 15_324_406, None),
    ("densenet_bc190_40", {}, 25_624_430, None),
    ("imagenet_resnet18", {}, 11_689_512, 1_814_073_344),
    ("imagenet_resnet34", {}, 21_797_672, 3_663_761_408),
    ("imagenet_resnet50", {}, 25_557_032, 4_089_184_256),
    ("imagenet_resnet101", {}, 44_549_160, None),
    ("imagenet_resnet152", {}, 60_192_808, None),
    ("imagenet_resnet50_d", {}, 25_576_264, None),
    ("imagenet_resnext50_32x4d", {}, 25_028_904, None),
    ("imagenet_densenet121", {}, 7_978_856, None),
    ("stochastic_depth110", {}, 1_727_962, 252_887_680),
    ("pyramidnet110_48", {}, 1_772_706, None),
    ("fixup110", {}, 1_720_138, 252_887_680),
    ("repvgg_a0", {}, 9_108_968, None),
    ("mobilenetv2", {}, 3_504_872, None),
    ("convnext_tiny", {}, 28_589_128, None),
    ("shake_shake26_2x32d", {}, 2_923_162, None),
    ("fractalnet3", {}, 33_724_618, None),
    ("imagenet_res2net50_26wx4s", {}, 25_699_120, None),
    ("imagenet_dpn68", {}, 12_611_602, None),
    ("imagenet_dpn92", {}, 37_668_392, None),
    ("imagenet_dpn98", {}, 61_570_728, None),
    ("unet", {}, 31_030_658, None),
    ("unet", {"norm": "batch", "in_channels": 3}, 31_037_698, None),
]
# The same for the slow run: deep networks take seconds to record.
SLOW_MACS = [
    ("preact1001", 1_490_995_712),
    ("densenet100_12", 1_769_516_448),
    ("densenet100_24", 6_889_347_744),
    ("densenet_bc250_24", 5_418_785_724),
    ("densenet_bc190_40", 9_301_945_740),
    ("imagenet_resnet101", 7_801_405_440),
    ("imagenet_resnet152", 11_513_626_624),
]


def build(name: str, **options: object) -> torch.nn.Module:
    with torch.device("meta"):
        return models.create(name, **options).eval()


def num_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def num_macs(name: str, **options: object) -> int:
    graph = trace(build(name, **options), (1, *models.family_of(name).input_shape))
    assert uncounted(graph) == ()
    return cost(graph).macs


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202])
def test_plain_and_residual_networks_follow_the_closed_form(depth: int):
    n = (depth - 2) // 6
    plain = 97_216 * n - 21_926
    assert num_parameters(build(f"plain{depth}")) == plain
    assert num_parameters(build(f"resnet{depth}")) == plain
    assert num_parameters(build(f"resnet{depth}", shortcut="B")) == plain + 2_752


def test_layout_of_zeros_costs_nothing_and_classes_their_weights():
    assert num_parameters(build("resnet56", layout="both")) == 853_018
    assert num_parameters(build("resnet56", num_classes=100)) == 853_018 + 5_850


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(20, 283_962), (32, 489_594), (44, 695_226), (56, 900_858), (110, 1_826_202), (1202, 20_538_714)],
)
def test_shortcut_c(depth: int, expected: int):
    assert num_parameters(build(f"resnet{depth}", shortcut="C")) == expected


@pytest.mark.parametrize("depth", [20, 56])
def test_multiply_adds_follow_the_closed_form(depth: int):
    expected = 14_155_776 * ((depth - 2) // 6) - 1_916_288
    assert num_macs(f"plain{depth}") == num_macs(f"resnet{depth}") == expected
    assert num_macs(f"resnet{depth}", shortcut="B") == expected + 262_144


@pytest.mark.parametrize(("name", "options", "parameters", "macs"), COUNTS)
def test_published_networks(name: str, options: dict[str, object], parameters: int, macs: int | None):
    assert num_parameters(build(name, **options)) == parameters
    assert macs is None or num_macs(name, **options) == macs


@pytest.mark.slow
@pytest.mark.parametrize(("name", "macs"), SLOW_MACS)
def test_multiply_adds_of_deep_networks(name: str, macs: int):
    assert num_macs(name) == macs


def test_dense_family_is_densenet_bc_by_another_name():
    assert num_parameters(build("dense20", growth=12, width=24)) == num_parameters(build("densenet_bc22_12"))


def test_channels_of_dense_blocks_grow_by_k():
    network = build("densenet40_12")
    widths = [stage[-1].branch.conv2.out_channels + stage[-1].branch.norm2.num_features for stage in network.stages]
    assert widths == [160, 304, 448]


def test_highway_counts_by_hand():
    """Layer by layer: a 3x3 layer has 9ab + b parameters, a highway layer those of its gate too."""
    widths = [32, 32, 32, 48, 48, *[80] * 6, *[128] * 6]
    layers = list(zip([3, *widths], widths, strict=False))
    convolutions = sum(9 * a * b + b for a, b in layers)
    gates = sum(9 * a * b + b for a, b in layers if a == b)
    assert num_parameters(build("highway19")) == convolutions + gates + 128 * 10 + 10 == 2_274_186


@pytest.mark.parametrize(
    ("depth", "widths", "expected"), [(38, (32, 64, 112), 464_922), (110, (32, 64, 128), 1_729_226)]
)
def test_revnet_counts_by_hand(depth: int, widths: tuple[int, ...], expected: int):
    """Two branches of two 3x3 convolutions on half the channels, each after a batch norm; nothing else in a unit."""

    def branch(before: int, after: int) -> int:
        return 2 * before + 9 * before * after + 2 * after + 9 * after * after

    n, halves = (depth - 2) // 12, [w // 2 for w in widths]
    units = sum(2 * n * branch(h, h) for h in halves)
    for before, after in pairwise(halves):
        units += branch(before, after) - branch(after, after)
    ends = 27 * widths[0] + 2 * widths[0] + 2 * widths[-1] + 10 * widths[-1] + 10
    assert num_parameters(build(f"revnet{depth}")) == units + ends == expected


def test_resnext_counts_by_hand():
    def block(before: int, inner: int, after: int, groups: int) -> int:
        weights = before * inner + 9 * inner * inner // groups + inner * after
        return weights + 4 * inner + 2 * after + (before * after + 2 * after if before != after else 0)

    total = 27 * 64 + 128 + 1024 * 10 + 10
    before = 64
    for stage in range(3):
        for _ in range(3):
            total += block(before, 8 * 64 * 2**stage, 256 * 2**stage, 8)
            before = 256 * 2**stage
    assert num_parameters(build("resnext29_8x64d")) == total
