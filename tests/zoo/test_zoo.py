"""Public networks whose counts are in their papers; `make zoo` measures the whole zoo, see docs/zoo.md."""

from types import ModuleType

import pytest
from zoo.families import families
from zoo.measure import measure
from zoo.runner import tasks

from skipstone.checks import check
from skipstone.skips import find_skips

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]
TASKS = {task.name: task for task in tasks(families())}
# Known from the papers and the libraries' own sources, not from the tables of tools/zoo.
KNOWN = {
    "torchvision:resnet18": 8, "torchvision:resnet34": 16, "torchvision:resnet50": 16, "torchvision:resnet152": 50,
    "torchvision:mobilenet_v2": 10, "torchvision:efficientnet_b0": 9, "torchvision:vit_b_16": 24,
    "torchvision:swin_t": 24, "torchvision:convnext_tiny": 18, "torchvision:densenet121": 58,
    "torchvision:densenet161": 78, "torchvision:densenet201": 98, "torchvision:vgg16": 0, "torchvision:googlenet": 0,
    "timm:poolformer_s12": 24, "timm:res2net50_26w_4s": 16, "timm:cait_xxs24_224": 52,
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_the_tables_and_the_finder_say_what_is_known(name: str, timm: ModuleType) -> None:
    task = TASKS[name]
    row = measure(task.family, task.network, sample=False)
    assert (row.truth, row.found, row.found_in_training) == (KNOWN[name],) * 3
    assert row.problems() == []


@pytest.mark.parametrize(
    ("name", "kind", "merge", "number"),
    [("torchvision:efficientnet_b0", "gate", "mul", 16), ("torchvision:googlenet", "parallel", "cat", 9)],
)
def test_other_kinds(name: str, kind: str, merge: str, number: int, timm: ModuleType) -> None:
    network = TASKS[name].network
    skips = find_skips(network.build().eval(), network.inputs())
    assert sum((skip.kind, skip.merge) == (kind, merge) for skip in skips) == number


def test_the_error_on_a_public_network_is_torchs_own(timm: ModuleType) -> None:
    """VarAutoEncoder: the finding in evaluation, and none in training, are what a backward pass does."""
    pytest.importorskip("monai")
    network = TASKS["monai:VarAutoEncoder"].network
    model, inputs = network.build(), network.inputs()
    assert [f.code for f in check(model.eval(), inputs).errors] == ["SK109"]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        model(*inputs)[0].sum().backward()
    assert check(model.train(), inputs).errors == ()
    model(*inputs)[0].sum().backward()
