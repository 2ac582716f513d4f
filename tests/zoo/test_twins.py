"""Thirteen more public networks (seven are in tests/surgery): without their skips they are plain twins, by hand.

A twin is the network as published, its weights untouched, with forwards written anew here: sums without the shortcut,
and zeros where a concatenation had it, which to the layer behind is the same as reading less.
"""

from importlib import import_module
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map
from zoo.families import families
from zoo.runner import Task, tasks
from zoo.truth import truth

from skipstone import surgery
from skipstone.skips import find_skips
from twins import assert_same, with_forward

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]
TASKS = {task.name: task for task in tasks(families())}


def basic(self, x):
    return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


def unet_block(self, feature_map, target_height, target_width, skip_connection=None):
    x = nn.functional.interpolate(feature_map, size=(target_height, target_width), mode=self.interpolation_mode)
    if skip_connection is not None:
        x = torch.cat([x, torch.zeros_like(skip_connection)], 1)
    return self.conv2(self.conv1(x))


def fpn_block(self, x, skip):
    return nn.functional.interpolate(x, scale_factor=2.0, mode=self.interpolation_mode)


def linknet_block(self, x, skip=None):
    return self.block(x)


def joined_skip(self, x):
    return torch.cat([torch.zeros_like(x), self.submodule(x)], 1)


def convolutions_alone(self, x):
    return self.conv(x)


def vnet_in(self, x):
    return self.act_function(self.conv_block(x))


def vnet_down(self, x):
    down = self.act_function1(self.bn1(self.down_conv(x)))
    return self.act_function2(self.ops(down).clone())


def vnet_up(self, x, skipx):
    out = self.act_function1(self.bn1(self.up_conv(x)))
    return self.act_function2(self.ops(torch.cat((out, torch.zeros_like(skipx)), 1)).clone())


def squeezed(self, x):
    return self.activ(self.se(self.body(x)))


def preactivated(self, x):
    return self.body(x)[0]


def mixer(self, x):
    x = self.ls1 * self.linear_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
    return self.ls2 * self.mlp_channels(self.norm2(x))


def metaformer(self, x):
    x = self.layer_scale1(self.token_mixer(self.norm1(x)))
    return self.layer_scale2(self.mlp(self.norm2(x)))


def gpt2(self, hidden_states, cache=None, attention_mask=None, *encoded, use_cache=False, **kwargs):
    assert encoded in ((), (None,))
    x = self.ln_1(hidden_states)
    x, _ = self.attn(x, cache=cache, attention_mask=attention_mask, use_cache=use_cache, **kwargs)
    return self.mlp(self.ln_2(x))


def t5_self(self, hidden_states, attention_mask=None, position_bias=None, cache=None, **kwargs):
    x = self.layer_norm(hidden_states)
    return self.SelfAttention(x, mask=attention_mask, position_bias=position_bias, cache=cache, **kwargs)


def t5_cross(self, hidden_states, key_value_states, attention_mask=None, position_bias=None, cache=None, **kwargs):
    return self.EncDecAttention(
        self.layer_norm(hidden_states), mask=attention_mask, key_value_states=key_value_states,
        position_bias=position_bias, cache=cache, **kwargs,
    )  # fmt: skip


def t5_feed_forward(self, hidden_states):
    return self.DenseReluDense(self.layer_norm(hidden_states))


def transformer(self, x):
    for attention, feed_forward in self.layers:
        x = feed_forward(attention(x))
    return self.norm(x)


def u_transformer(self, x):
    for combine, attention, feed_forward in self.layers:
        if combine is not None:
            x = combine(torch.cat((torch.zeros_like(x), x), -1))
        x = feed_forward(attention(x))
    return self.norm(x)


def swin(self, x):
    return self.mlp(self.norm2(self.attn(self.norm1(x))))


# The plain forwards of each network's classes, by its name in the tables of tools/zoo.
TWINS = {
    "segmentation_models_pytorch:Unet resnet18": {"BasicBlock": basic, "UnetDecoderBlock": unet_block},
    "segmentation_models_pytorch:FPN resnet18": {"BasicBlock": basic, "FPNBlock": fpn_block},
    "segmentation_models_pytorch:Linknet resnet18": {"BasicBlock": basic, "DecoderBlock": linknet_block},
    "monai:UNet residual": {"SkipConnection": joined_skip, "ResidualUnit": convolutions_alone},
    "monai:VNet": {"InputTransition": vnet_in, "DownTransition": vnet_down, "UpTransition": vnet_up},
    "pytorchcv:seresnet20_cifar10": {"SEResUnit": squeezed},
    "pytorchcv:preresnet20_cifar10": {"PreResUnit": preactivated},
    "timm:resmlp_12_224": {"ResBlock": mixer},
    "timm:poolformer_s12": {"MetaFormerBlock": metaformer},
    "transformers:GPT2Model": {"GPT2Block": gpt2},
    "transformers:T5Model": {
        "T5LayerSelfAttention": t5_self, "T5LayerCrossAttention": t5_cross, "T5LayerFF": t5_feed_forward,
    },
    "vit-pytorch:simple_uvit": {"Transformer": u_transformer},
    "torchvision:swin_t": {"SwinTransformerBlock": swin},
}  # fmt: skip


def built(task: Task) -> nn.Module:
    """The network with weights: the tables make those of two packages without."""
    name = task.network.name
    if task.family.package == "timm":
        return import_module("timm").create_model(name)
    if task.family.package == "torchvision":
        return import_module("torchvision").models.get_model(name)
    return task.network.build()


def doubled(value: object) -> object:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@pytest.mark.parametrize("name", TWINS)
def test_without_its_skips_it_is_the_plain_twin(name: str, timm: ModuleType) -> None:
    task = TASKS[name]
    pytest.importorskip(task.family.package.replace("-", "_"))
    torch.manual_seed(0)
    model, x = built(task).double().eval(), tree_map(doubled, task.network.inputs())
    plan = surgery.plan_ablation(model, "all", x, bridges=True)
    assert len(plan.skips) == truth(model, x, task.family.adds)[0]
    plain = surgery.apply(model, plan.edits)
    assert_same(plain, with_forward(model, TWINS[name]), x)
    assert not [skip for skip in find_skips(plain, x) if skip.is_block_skip]
    assert_same(surgery.revert(plain), model, x)
