"""Names, options and the text of every refusal."""

import subprocess
import sys

import pytest
import torch

from skipstone import models
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.models.depth import DepthError
from skipstone.models.options import OptionError
from skipstone.models.registry import options


def text_of(name: str, **options: object) -> str:
    with pytest.raises(SkipstoneError) as error:
        models.create(name, **options)
    return str(error.value)


def test_every_name_belongs_to_the_family_that_lists_it():
    for family in models.families():
        assert family.names, family.form
        assert all(models.family_of(name) is family for name in family.names)
    assert len(models.names()) == len(set(models.names()))


def test_every_family_takes_classes_channels_and_says_its_defaults():
    for family in models.families():
        known = options(family.names[0])
        assert {"num_classes", "in_channels"} <= set(known), family.form


def test_names_need_no_torch():
    code = (
        "import sys, skipstone; skipstone.models.names(); skipstone.models.tutorials; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnt20", "unknown network 'resnt20'; nearest: resnet20"),
        ("resnet20x", "unknown network 'resnet20x'; nearest: resnet20"),
        ("vgg", "unknown network 'vgg'; known: "),
        ("resnet21", "no resnet of depth 21: the depth must be 6n+2 with n >= 1; nearest: 20, 26"),
        ("plain3", "no plain of depth 3: the depth must be 6n+2 with n >= 1; nearest: 8"),
        ("preact57", "no preact of depth 57: the depth must be 6n+2 with n >= 1; nearest: 56, 62"),
        ("wrn27_10", "no wrn of depth 27: the depth must be 6n+4 with n >= 1; nearest: 22, 28"),
        ("densenet41_12", "no densenet of depth 41: the depth must be 3n+4 with n >= 1; nearest: 40, 43"),
        ("densenet_bc101_12", "no densenet_bc of depth 101: the depth must be 6n+4 with n >= 1; nearest: 100, 106"),
        ("dense21", "no dense of depth 21: the depth must be 6n+2 with n >= 1; nearest: 20, 26"),
        ("imagenet_resnet51", "unknown network 'imagenet_resnet51'; nearest: imagenet_resnet50"),
    ],
)
def test_wrong_names_offer_the_nearest(name: str, text: str):
    assert text_of(name).startswith(text)


def test_bottleneck_depths_have_their_own_rule():
    message = text_of("resnet26", block="bottleneck")
    assert message == "no resnet of depth 26: the depth must be 9n+2 with n >= 1; nearest: 20, 29"


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("resnet20", {"widht": 8}, "unknown option of resnet20 'widht'; nearest: width"),
        ("resnet20", {"shortcut": "E"}, "shortcut='E': must be one of 'A', 'B', 'C', 'none'"),
        ("resnet20", {"width": 0}, "width=0: must be an integer of at least 1"),
        ("resnet20", {"num_classes": 0}, "num_classes=0: must be an integer of at least 1"),
        ("resnet20", {"in_channels": 1.5}, "in_channels=1.5: must be an integer of at least 1"),
        ("resnet20", {"dropout": 1}, "dropout=1: must be a number p with 0 <= p < 1"),
        ("resnet20", {"norm": "layer"}, "unknown normalisation 'layer'; known: batch, group, none"),
        ("resnet20", {"dims": 4}, "blocks work over 1, 2 or 3 spatial axes, not 4"),
        ("resnet20", {"init": "xavier"}, "init='xavier': must be one of 'he', 'torch'"),
        ("resnet20", {"blocks_per_stage": (3, 4)}, "blocks_per_stage=(3, 4): must be one integer, or three"),
        ("resnet164", {"dropout": 0.1}, "dropout=0.1: bottleneck blocks have none"),
        ("densenet40_12", {"compression": 0}, "compression=0: must be a number c with 0 < c <= 1"),
    ],
)
def test_wrong_options_are_named_with_what_is_right(name: str, given: dict[str, object], text: str):
    assert text_of(name, **given).startswith(text)


def test_errors_are_of_their_kind():
    for kind, name in ((UnknownNameError, "nothing"), (DepthError, "resnet21")):
        with pytest.raises(kind):
            models.create(name)
    with pytest.raises(OptionError):
        models.create("resnet20", width=-1)


def test_blocks_per_stage_overrides_the_depth():
    network = models.create("resnet20", blocks_per_stage=(1, 2, 1))
    assert [len(stage) for stage in network.stages] == [1, 2, 1]
    assert network.num_skips == 4


def test_dropout_and_normalisation_are_parameters():
    network = models.create("preact20", dropout=0.3, norm="group")
    assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == [0.3] * 9
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in network.modules()) == 19


def test_initialisation_he_or_torchs_own():
    torch.manual_seed(0)
    he = models.create("plain20", width=64).stages[2][1].branch.conv1.weight
    default = models.create("plain20", width=64, init="torch").stages[2][1].branch.conv1.weight
    fan = 9 * he.shape[0]
    assert he.var().item() == pytest.approx(2 / fan, rel=0.02)
    assert default.var().item() == pytest.approx(1 / (3 * fan), rel=0.02)
