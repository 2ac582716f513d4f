"""Public networks: recorded whole, and as many skips found as their own classes say; see docs/zoo.md."""

import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from skipstone.skips import find_skips
from skipstone.tracing import trace

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
try:
    import zoo_networks
    import zoo_truths
finally:
    sys.path.remove(str(TOOLS))

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]
NETWORKS = {network.name: network for network in zoo_networks.networks()}
# Known from the papers and the libraries' own sources, not from the tables of tools/zoo_truths.py.
KNOWN = {
    "torchvision:resnet18": 8, "torchvision:resnet34": 16, "torchvision:resnet50": 16, "torchvision:resnet152": 50,
    "torchvision:mobilenet_v2": 10, "torchvision:efficientnet_b0": 9, "torchvision:vit_b_16": 24,
    "torchvision:swin_t": 24, "torchvision:convnext_tiny": 18, "torchvision:densenet121": 58,
    "torchvision:densenet161": 78, "torchvision:densenet201": 98, "torchvision:vgg16": 0, "torchvision:googlenet": 0,
    "timm:poolformer_s12": 24, "timm:res2net50_26w_4s": 16, "timm:cait_xxs24_224": 52,
}  # fmt: skip
# Where a count by classes and a definition on the graph part; each is explained in docs/zoo.md.
DIFFER = {"timm:tnt_s_patch16_224"}


@pytest.mark.parametrize("name", NETWORKS)
def test_found_as_its_classes_say(name: str, timm: ModuleType) -> None:
    if name.startswith(("transformers", "diffusers")):
        pytest.importorskip(name.partition(":")[0])
    model, example = NETWORKS[name].build()
    graph = trace(model, example)
    assert graph.stopped is None
    assert graph.failures == ()
    assert graph.refusals == ()
    found = sum(skip.is_block_skip for skip in find_skips(graph))
    known = zoo_truths.truth(model, graph)
    if known is not None and name not in DIFFER:
        assert found == known[0], known[1]
    if name in KNOWN:
        assert found == KNOWN[name]


@pytest.mark.parametrize("name", ["timm:resnet50", "torchvision:densenet121", "timm:swin_tiny_patch4_window7_224"])
def test_training_mode_finds_the_same(name: str, timm: ModuleType) -> None:
    model, example = NETWORKS[name].build()
    kinds = [Counter(skip.kind for skip in find_skips(trace(model.train(mode), example))) for mode in (False, True)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("name", "kind", "merge", "number"),
    [("torchvision:efficientnet_b0", "gate", "mul", 16), ("torchvision:googlenet", "parallel", "cat", 9)],
)
def test_other_kinds(name: str, kind: str, merge: str, number: int, timm: ModuleType) -> None:
    model, example = NETWORKS[name].build()
    skips = find_skips(trace(model, example))
    assert sum((skip.kind, skip.merge) == (kind, merge) for skip in skips) == number
