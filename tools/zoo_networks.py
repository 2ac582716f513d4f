"""The public networks of docs/zoo.md: torchvision's, one or more of each timm family, Hugging Face's, diffusers'.

All are built from their own constructors without trained weights, on torch's meta device where the constructor allows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from skipstone.models.target import outline

# Every classification and segmentation network of torchvision.
TORCHVISION = """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169
    densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
    efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3
    maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
    regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
    regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf
    regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d
    shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b
    swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16
    vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2 deeplabv3_mobilenet_v3_large
    deeplabv3_resnet101 deeplabv3_resnet50 fcn_resnet101 fcn_resnet50 lraspp_mobilenet_v3_large
""".split()
# At least one of every family.
TIMM = """
    aimv2_large_patch14_224 beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coat_lite_mini coat_tiny
    coatnet_0_rw_224 convit_tiny convmixer_768_32 convnext_atto convnextv2_atto cpubone_nano crossvit_9_240
    crossvit_15_dagger_240 cs3darknet_s cspresnet50 csatv2 cspnext_s darknet53 davit_tiny deepseek_vit_412m
    deit_tiny_patch16_224 deit3_small_patch16_224 densenet121 dla34 dla60 dla60_res2net dm_nfnet_f0 dpn68 dpn92
    eca_nfnet_l0 ese_vovnet19b_dw ese_vovnet39b resnet50 seresnet50 ecaresnet26t resnetrs50 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnetv2_rw_t mixnet_s mnasnet_100 mobilenetv2_100
    tinynet_e efficientvim_m1 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8
    lcnet_050 mobilenetv3_large_100 mobilenetv4_conv_small mobilenetv4_hybrid_medium focalnet_tiny_srf gcvit_xxtiny
    gemma4_vit_167m ghostnet_050 ghostnetv2_100 gmlp_ti16_224 mixer_b16_224 resmlp_12_224 gmixer_12_224 gernet_m
    repvgg_a0 gcresnet33ts hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small
    iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small legacy_seresnet18
    legacy_seresnext26_32x4d legacy_xception levit_128s lowformer_b0 mambaout_femto maxvit_pico_rw_256
    maxvit_tiny_tf_224 mobilenetv5_300m mobilevit_xxs mobilevitv2_050 mvitv2_tiny naflexvit_base_patch16_gap
    nasnetalarge nest_tiny nextvit_small pit_ti_224 pnasnet5large poolformer_s12 poolformerv2_s12 pvt_v2_b0
    qwen3_vit_88m rdnet_tiny regnetx_002 regnety_002 regnetz_c16 repghostnet_050 repvit_m1 res2net50_14w_8s
    res2net50_26w_4s resnest14d resnetv2_50 resnetv2_18 rexnet_100 samvit_base_patch16_224 selecsls42 sequencer2d_s
    shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_tiny_window8_256
    swinv2_cr_tiny_224 vit_relpos_small_patch16_224 tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m twins_pcpvt_small
    twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224 vit_base_patch16_rpn_224 vit_small_r26_s32_224
    vitamin_small_224 volo_d1_224 xception41 xcit_nano_12_p16_224
""".split()


@dataclass(frozen=True)
class Network:
    """A network by its name in a zoo, how to build it, and what to call it with."""

    name: str
    build: Callable[[], tuple[nn.Module, object]]


def networks() -> Iterator[Network]:
    """Every network of the table, in its order."""
    for name in TORCHVISION:
        yield Network(f"torchvision:{name}", lambda name=name: _torchvision(name))  # type: ignore[misc]
    for name in TIMM:
        yield Network(f"timm:{name}", lambda name=name: _timm(name))  # type: ignore[misc]
    for name in HUGGING_FACE:
        yield Network(f"transformers:{name}", lambda name=name: _hugging_face(name))  # type: ignore[misc]
    yield Network("diffusers:UNet2DModel", _diffusers)


def _torchvision(name: str) -> tuple[nn.Module, object]:
    side = 299 if name == "inception_v3" else 224
    return outline(f"torchvision:{name}").eval(), (2, 3, side, side)


def _timm(name: str) -> tuple[nn.Module, object]:
    model: Any = outline(f"timm:{name}")
    return model.eval(), (2, *model.pretrained_cfg["input_size"])


def _tokens(*shape: int) -> torch.Tensor:
    return torch.zeros(shape or (2, 12), dtype=torch.int64)


_SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
_TEXT = {**_SMALL, "vocab_size": 99, "max_position_embeddings": 64}
_DECODER = {**_TEXT, "num_key_value_heads": 2}
_VISION = {**_SMALL, "image_size": 64, "patch_size": 16}
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4, "vocab_size": 99}
_BART = {
    "d_model": 32,
    "vocab_size": 99,
    "max_position_embeddings": 64,
    **{f"{side}_{what}": size for side in ("encoder", "decoder")
       for what, size in (("layers", 3), ("attention_heads", 4), ("ffn_dim", 64))},
}  # fmt: skip
_IMAGE: dict[str, object] = {"pixel_values": (2, 3, 64, 64)}
# Class, its config's settings, the inputs by keyword.
HUGGING_FACE: dict[str, tuple[dict[str, Any], Callable[[], dict[str, object]]]] = {
    "ResNetModel": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "ConvNextModel": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "ConvNextV2Model": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "RegNetModel": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "MobileNetV2Model": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "ViTModel": (_VISION, lambda: _IMAGE),
    "DeiTModel": (_VISION, lambda: _IMAGE),
    "BeitModel": (_VISION, lambda: _IMAGE),
    "Dinov2Model": (_VISION, lambda: _IMAGE),
    "SwinModel": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "SegformerModel": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "SegformerForSemanticSegmentation": ({}, lambda: {"pixel_values": (2, 3, 224, 224)}),
    "BertModel": (_TEXT, lambda: {"input_ids": _tokens()}),
    "RobertaModel": (_TEXT, lambda: {"input_ids": _tokens()}),
    "DistilBertModel": ({"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99},
                        lambda: {"input_ids": _tokens()}),
    "ElectraModel": ({**_TEXT, "embedding_size": 32}, lambda: {"input_ids": _tokens()}),
    "AlbertModel": ({**_TEXT, "embedding_size": 16}, lambda: {"input_ids": _tokens()}),
    "GPT2Model": ({"n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 99}, lambda: {"input_ids": _tokens()}),
    "GPTNeoXModel": (_TEXT, lambda: {"input_ids": _tokens()}),
    "LlamaModel": (_DECODER, lambda: {"input_ids": _tokens()}),
    "MistralModel": (_DECODER, lambda: {"input_ids": _tokens()}),
    "Qwen2Model": (_DECODER, lambda: {"input_ids": _tokens()}),
    "T5Model": (_T5, lambda: {"input_ids": _tokens(), "decoder_input_ids": _tokens()}),
    "BartModel": (_BART, lambda: {"input_ids": _tokens(), "decoder_input_ids": _tokens()}),
    "CLIPModel": ({"text_config": _TEXT, "vision_config": _VISION, "projection_dim": 16},
                  lambda: {"input_ids": _tokens(), **_IMAGE}),
    "WhisperModel": ({**_BART, "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20,
                      "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
                     lambda: {"input_features": (2, 8, 40), "decoder_input_ids": _tokens()}),
    "Wav2Vec2Model": (_SMALL, lambda: {"input_values": (2, 4000)}),
}  # fmt: skip


def _hugging_face(name: str) -> tuple[nn.Module, object]:
    outline("torchvision:resnet18")  # transformers imports torchvision where it is installed
    transformers = import_module("transformers")
    kind = getattr(transformers, name)
    settings, example = HUGGING_FACE[name]
    config = kind.config_class(**settings)
    with torch.device("meta"):
        return kind(config).eval(), example()


def _diffusers() -> tuple[nn.Module, object]:
    outline("torchvision:resnet18")
    diffusers = import_module("diffusers")
    with torch.device("meta"):
        model = diffusers.UNet2DModel(sample_size=32, block_out_channels=(32, 64, 64), norm_num_groups=8,
                                      down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                                      up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"))  # fmt: skip
    return model.eval(), {"sample": (2, 3, 32, 32), "timestep": 1}
