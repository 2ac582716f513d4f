"""Real networks: without their skips they are the hand-written plain twins, and stay ordinary modules."""

import copy
import gc
import io
import pickle
import warnings

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from skipstone import surgery
from skipstone.models import create
from skipstone.skips import find_skips
from twins import assert_same, gradients, run, with_forward

pytestmark = pytest.mark.zoo


def basic(self, x):
    return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


def bottleneck(self, x):
    out = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
    return self.relu(self.bn3(self.conv3(out)))


def inverted(self, x):
    return self.conv(x)


def vit(self, x, *args, **kwargs):
    x = self.drop_path1(self.ls1(self.attn(self.norm1(x))))
    return self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


def convnext(self, x):
    x = self.conv_dw(x)
    assert self.use_conv_mlp  # as the small ones are made: channels stay first
    x = self.mlp(self.norm(x))
    return self.drop_path(x if self.gamma is None else x * self.gamma.reshape(1, -1, 1, 1))


def dense_block(self, x):
    for layer in self.values():
        x = layer.conv2(layer.relu2(layer.norm2(layer.conv1(layer.relu1(layer.norm1(x))))))
    return x


def bert_output(self, hidden_states, input_tensor):
    return self.LayerNorm(self.dropout(self.dense(hidden_states)))


def _bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertModel(config)


# Name: how it is made, an input's shape, number of skips, the plain forward functions.
NETWORKS = {
    "resnet18": ("torchvision", (2, 3, 33, 33), 8, {"BasicBlock": basic}),
    "resnet50": ("torchvision", (2, 3, 32, 32), 16, {"Bottleneck": bottleneck}),
    "mobilenet_v2": ("torchvision", (2, 3, 32, 32), 10, {"InvertedResidual": inverted}),
    "densenet121": ("torchvision", (2, 3, 64, 64), 58, {"_DenseBlock": dense_block}),
    "vit_tiny_patch16_224": ("timm", (2, 3, 224, 224), 24, {"Block": vit}),
    "convnext_atto": ("timm", (2, 3, 32, 32), 12, {"ConvNeXtBlock": convnext}),
    "bert": (_bert, (2, 7), 4, {"BertSelfOutput": bert_output, "BertOutput": bert_output}),
}


@pytest.fixture(params=list(NETWORKS))
def network(request):
    """(model, example, number of skips, forward functions of the plain twin), in double precision."""
    kind, shape, number, forwards = NETWORKS[request.param]
    torch.manual_seed(0)
    if callable(kind):
        return kind().double(), {"input_ids": torch.randint(0, 50, shape)}, number, forwards
    package = request.getfixturevalue(kind)
    model = package.create_model(request.param) if kind == "timm" else package.models.get_model(request.param)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # MobileNetV2's own would make two runs differ
    return model.double(), torch.randn(shape, dtype=torch.float64), number, forwards


@pytest.mark.parametrize("parameters", ["keep", "remove"])
def test_without_its_skips_it_is_the_plain_twin(network, parameters):
    model, x, number, forwards = network
    plan = surgery.plan_ablation(model, "all", x, parameters=parameters)
    assert len(plan.skips) == number
    plain = surgery.apply(model, plan.edits)
    assert_same(copy.deepcopy(plain), with_forward(plain, forwards), x)
    assert not [skip for skip in find_skips(plain, x) if skip.is_block_skip]
    back = surgery.revert(plain)
    assert list(back.state_dict()) == list(model.state_dict())
    assert_same(back.eval(), model.eval(), x)


def test_one_skip_alone(network):
    model, x, number, _ = network
    skips = [skip for skip in find_skips(model, x) if skip.is_block_skip]
    for skip in (skips[0], skips[-1]):
        result = surgery.diff(model, surgery.ablate(model, skip, x), x)
        assert len(result.lost) - len(result.gained) == 1
        assert result.kept + len(result.moved) + len(result.changed) == number - 1


def _ends(model):
    """Two leaves whose outputs have the same number of axes, one early, one late."""
    pairs = {
        "ResNet": ("layer1.0.conv1", "layer3.0.bn1"), "MobileNetV2": ("features.2.conv.0.0", "features.9.conv.2"),
        "DenseNet": ("features.conv0", "features.denseblock2.denselayer1.norm1"),
        "VisionTransformer": ("blocks.0.norm1", "blocks.5.mlp"), "ConvNeXt": ("stem", "stages.2.blocks.0.conv_dw"),
        "BertModel": ("embeddings", "encoder.layer.1.output.dense"),
    }  # fmt: skip
    return pairs[type(model).__name__]


def test_connected_at_zero_it_is_itself_and_then_trains(network):
    model, x, _, _ = network
    new = surgery.connect(model, *_ends(model), example=x)
    assert torch.equal(run(new.eval(), x), run(model.eval(), x))
    gain = next(p for n, p in new.named_parameters() if n.endswith("skipstone_skip.gain"))
    gradients(new, x)
    assert gain.grad.any()
    back = surgery.ablate(new, lambda skip: "skipstone_skip" in skip.module, x)
    assert list(back.state_dict()) == list(model.state_dict())
    assert torch.equal(run(back, x), run(model, x))


def test_ordinary_modules(network, tmp_path):
    model, x, _, _ = network
    plain = surgery.ablate(model, "all", x)
    want = gradients(plain.eval(), x)
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain)), torch.load(buffer, weights_only=False)):
        torch.testing.assert_close(gradients(twin, x)[0], want[0])
    twin = copy.deepcopy(plain).float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        floats = x if isinstance(x, dict) else x.float()
        run(twin, floats).float().sum().backward()
    assert {t.device.type for t in copy.deepcopy(plain).to("meta").parameters()} == {"meta"}
    if not isinstance(x, dict):
        for reentrant in (True, False):
            t = x.clone().requires_grad_()
            got = checkpoint(plain, t, use_reentrant=reentrant)
            plain.zero_grad()
            (got * torch.linspace(-1, 1, got.numel(), dtype=got.dtype).view_as(got)).sum().backward()
            for name, parameter in plain.named_parameters():
                if name in want[1]:
                    torch.testing.assert_close(parameter.grad, want[1][name])
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert_same_in_parallel(copy.deepcopy(plain), x, want[0])
    finally:
        gc.collect()
        dist.destroy_process_group()


def assert_same_in_parallel(model, x, want):
    """Nothing of the parallel module may outlive the process group, so it is a local here."""
    parallel = DistributedDataParallel(model, find_unused_parameters=True)
    for _ in range(2):
        torch.testing.assert_close(gradients(parallel, x)[0], want)


def test_compile_and_export(network):
    model, x, _, _ = network
    plain = surgery.ablate(model, "all", x).eval()
    want = run(plain, x)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(run(torch.compile(plain, fullgraph=True, backend="eager"), x), want)
        args, kwargs = ((), x) if isinstance(x, dict) else ((x,), {})
        exported = torch.export.export(plain, args, kwargs).module()
        torch.testing.assert_close(run(exported, x), want)
    torch._dynamo.reset()


def test_unet():
    model, x = create("unet", width=8).double().eval(), torch.randn(1, 1, 64, 64, dtype=torch.float64)
    plan = surgery.plan_ablation(model, "all", x, cat="zero")
    assert len(plan.skips) == 4
    zeroed, narrowed = surgery.apply(model, plan.edits), surgery.ablate(model, "all", x)
    (y, kept), (z, fewer) = gradients(zeroed, x), gradients(narrowed, x)
    torch.testing.assert_close(y, z, rtol=0, atol=1e-10)
    for name, gradient in fewer.items():
        wide = kept[name]
        if wide.shape != gradient.shape:
            live = wide.flatten(2).abs().sum((0, 2)) > 0
            assert int(live.sum()) == gradient.shape[1]
            wide = wide[:, live]
        torch.testing.assert_close(wide, gradient, rtol=0, atol=1e-10)
