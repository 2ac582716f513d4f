"""Exact numbers of parameters and multiply-adds, of networks built without memory and recorded without computing."""

import pytest
import torch

from skipstone import models
from skipstone.tracing import trace
from skipstone.tracing.costs import cost, uncounted

# name, options, parameters, multiply-adds for one example (None: no closed form at hand)
COUNTS = [
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
    assert num_parameters(build(f"resnet{depth}", layout="both")) == plain
    assert num_parameters(build(f"resnet{depth}", shortcut="B")) == plain + 2_752
    assert num_parameters(build(f"resnet{depth}", num_classes=100)) == plain + 5_850


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
