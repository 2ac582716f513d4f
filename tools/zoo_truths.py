"""How many skips a public network has, counted from its own classes and never by looking for additions.

For each Python module of a library: what one run of each of its classes adds. A plain number says so of every instance;
a function reads the flag by which the class itself decides. A class that is not listed adds nothing. A network whose
own module is not listed has no count here: its truth is unknown.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from skipstone.core.graph import Graph

Rule = int | Callable[[Any], int]


def _flag(name: str) -> Callable[[Any], int]:
    return lambda module: int(bool(getattr(module, name)))


def _given(name: str) -> Callable[[Any], int]:
    return lambda module: int(getattr(module, name, None) is not None)


_RESIDUAL = {"BasicBlock": 1, "Bottleneck": 1}
_HAS_SKIP = {
    name: _flag("has_skip")
    for name in "InvertedResidual DepthwiseSeparableConv EdgeResidual UniversalInvertedResidual MobileAttention "
    "ConvBnAct CondConvResidual".split()
}
_SHORTCUT = {
    name: _given("shortcut") for name in "BasicBlock BottleneckBlock DarkBlock EdgeBlock SelfAttnBlock".split()
}
_TORCHVISION: dict[str, Mapping[str, Rule]] = {
    "alexnet": {},
    "convnext": {"CNBlock": 1},
    "densenet": {"_DenseLayer": 1},
    "efficientnet": {"MBConv": _flag("use_res_connect"), "FusedMBConv": _flag("use_res_connect")},
    "googlenet": {},
    "inception": {},
    "maxvit": {"MBConv": 1, "PartitionAttentionLayer": 2},
    "mnasnet": {"_InvertedResidual": _flag("apply_residual")},
    "mobilenetv2": {"InvertedResidual": _flag("use_res_connect")},
    "mobilenetv3": {"InvertedResidual": _flag("use_res_connect")},
    "regnet": {"ResBottleneckBlock": 1},
    "resnet": _RESIDUAL,
    "shufflenetv2": {},
    "squeezenet": {},
    "swin_transformer": {"SwinTransformerBlock": 2, "SwinTransformerBlockV2": 2},
    "vgg": {},
    "vision_transformer": {"EncoderBlock": 2},
    "segmentation.deeplabv3": {},
    "segmentation.fcn": {},
    "segmentation.lraspp": {"LRASPPHead": 1},
}
_TIMM: dict[str, Mapping[str, Rule]] = {
    "_efficientnet_blocks": _HAS_SKIP,
    "beit": {"Block": 2},
    "byobnet": {**_SHORTCUT, "RepVggBlock": lambda block: 1 + int(block.identity is not None), "MobileVitBlock": 1},
    "byoanet": {},
    "cait": {"LayerScaleBlock": 2, "LayerScaleBlockClassAttn": 2},
    "coat": {"SerialBlock": 3, "ParallelBlock": 9},
    "convit": {"Block": 2},
    "convmixer": {"Residual": 1},
    "convnext": {"ConvNeXtBlock": 1},
    "cpubone": {"ResidualBlock": _given("shortcut")},
    "crossvit": {"Block": 2, "CrossAttentionBlock": 1},
    "cspnet": {"BottleneckBlock": 1, "DarkBlock": 1, "EdgeBlock": 1},
    "davit": {"SpatialBlock": 2, "ChannelBlock": 2, "ConvPosEnc": 1},
    "deepseek_vit": {"DeepseekVitBlock": 2},
    "deit": {},
    "densenet": {"DenseLayer": 1},
    "dla": {"DlaBasic": 1, "DlaBottleneck": 1, "DlaBottle2neck": 1, "DlaRoot": 1},
    "dpn": {"DualPathBlock": 1},
    "edgenext": {"ConvBlock": 1, "SplitTransposeBlock": 2},
    "efficientformer": {"MetaBlock1d": 2, "MetaBlock2d": 2},
    "efficientnet": {},
    "efficientvim": {"EfficientViMBlock": 4, "PatchMerging": 2},
    "efficientvit_mit": {"ResidualBlock": _given("shortcut"), "LiteMLA": 1},
    "efficientvit_msra": {"ResidualDrop": 1},
    "eva": {"EvaBlock": 2, "EvaBlockPostNorm": 2},
    "fasternet": {"MLPBlock": 1},
    "focalnet": {"FocalNetBlock": 2},
    "gcvit": {"MbConvBlock": 1, "GlobalContextVitBlock": 2},
    "gemma4_vit": {"Gemma4Block": 2},
    "ghostnet": {"GhostBottleneck": 1, "GhostModule": 1, "GhostModuleV2": 1},
    "hardcorenas": {},
    "hgnet": {"HighPerfGpuBlock": lambda block: 1 + int(block.residual), "StemV2": 1},
    "hiera": {"HieraBlock": 2},
    "hieradet_sam2": {"MultiScaleBlock": 2},
    "hrnet": {},
    "iformer": {"Residual": 1},
    "inception_next": {"MetaNeXtBlock": 1},
    "inception_resnet_v2": {"Block35": 1, "Block17": 1, "Block8": 1},
    "inception_v3": {},
    "inception_v4": {},
    "levit": {"LevitBlock": 2, "LevitDownsample": 1},
    "lowformer": {"ResidualBlock": _given("shortcut")},
    "mambaout": {"GatedConvBlock": 1},
    "maxxvit": {"MbConvBlock": 1, "ConvNeXtBlock": 1, "TransformerBlock2d": 2, "PartitionAttentionCl": 2},
    "metaformer": {"MetaFormerBlock": 2},
    "mlp_mixer": {"SpatialGatingBlock": 1, "MixerBlock": 2, "ResBlock": 2},
    "mobilenetv3": {},
    "mobilenetv5": {"MobileNetV5MultiScaleFusionAdapter": 1},
    "mobilevit": {"MobileVitBlock": 1, "LinearTransformerBlock": 2},
    "mvitv2": {"MultiScaleBlock": 2, "MultiScaleAttention": _flag("residual_pooling")},
    "naflexvit": {},
    "nest": {"TransformerLayer": 2},
    "nextvit": {"NextConvBlock": 2, "NextTransformerBlock": 4},
    "nfnet": {"NormFreeBlock": 1},
    "pit": {},
    "pvt_v2": {"Block": 2},
    "qwen3_vit": {},
    "rdnet": {"DenseBlock": 1},
    "regnet": {"Bottleneck": 1, "PreBottleneck": 1},
    "repghost": {"RepGhostBottleneck": 1, "RepGhostModule": 1},
    "repvit": {"RepVggDw": 1, "RepViTBlock": 1, "RepVitDownsample": 1},
    "res2net": {"Bottle2neck": 1},
    "resnest": {"ResNestBottleneck": 1},
    "resnet": _RESIDUAL,
    "resnetv2": {"PreActBasic": 1, "PreActBottleneck": 1, "Bottleneck": 1},
    "rexnet": {"LinearBottleneck": _flag("use_shortcut")},
    "selecsls": {"SelecSlsBlock": 1},
    "senet": {"SEBottleneck": 1, "SEResNetBottleneck": 1, "SEResNeXtBottleneck": 1, "SEResNetBlock": 1},
    "sequencer": {"Sequencer2dBlock": 2},
    "shvit": {"Residual": 1},
    "sknet": {"SelectiveKernelBasic": 1, "SelectiveKernelBottleneck": 1},
    "starnet": {"Block": 1},
    "swiftformer": {"ConvEncoder": 1, "Block": 2, "LocalRepresentation": 1, "EfficientAdditiveAttention": 1},
    "swin_transformer": {"SwinTransformerBlock": 2},
    "swin_transformer_v2": {"SwinTransformerV2Block": 2},
    "swin_transformer_v2_cr": {"SwinTransformerV2CrBlock": 2},
    "tiny_vit": {"MBConv": 1, "TinyVitBlock": 2},
    "tnt": {"Block": 4},
    "tresnet": _RESIDUAL,
    "twins": {"Block": 2, "PosConv": 1},
    "vgg": {},
    "vision_transformer": {"Block": 2, "ResPostBlock": 2},
    "vision_transformer_hybrid": {},
    "vision_transformer_relpos": {"RelPosBlock": 2, "ResPostRelPosBlock": 2},
    "vision_transformer_sam": {"Block": 2},
    "visformer": {"Block": lambda block: 1 + int(block.attn is not None)},
    "vitamin": {"MbConvLNBlock": 1},
    "volo": {"Outlooker": 2, "Transformer": 2, "ClassBlock": 2},
    "vovnet": {"OsaBlock": lambda block: 1 + int(block.residual)},
    "xception": {"Block": 1},
    "xception_aligned": {
        "XceptionModule": lambda block: int(not block.no_skip),
        "PreXceptionModule": lambda block: int(not block.no_skip),
    },
    "xcit": {"XCABlock": 3, "ClassAttentionBlock": 2},
}
_TIMM_LAYERS: dict[str, Mapping[str, Rule]] = {"global_context": {"GlobalContext": _given("mlp_add")}}
# Class by class: these names are unique in the library.
_TRANSFORMERS: Mapping[str, Rule] = {
    "ResNetBottleNeckLayer": 1, "ResNetBasicLayer": 1, "ConvNextLayer": 1, "ConvNextV2Layer": 1, "RegNetXLayer": 1,
    "RegNetYLayer": 1, "MobileNetV2InvertedResidual": _flag("use_residual"), "ViTLayer": 2, "DeiTLayer": 2,
    "BeitLayer": 2, "Dinov2Layer": 2, "SwinLayer": 2, "SegformerLayer": 2, "BertLayer": 2, "RobertaLayer": 2,
    "TransformerBlock": 2, "ElectraLayer": 2, "AlbertLayer": 2, "GPT2Block": 2, "GPTNeoXLayer": 1,
    "LlamaDecoderLayer": 2, "MistralDecoderLayer": 2, "Qwen2DecoderLayer": 2, "T5LayerSelfAttention": 1,
    "T5LayerCrossAttention": 1, "T5LayerFF": 1, "BartEncoderLayer": 2, "BartDecoderLayer": 3, "CLIPEncoderLayer": 2,
    "WhisperEncoderLayer": 2, "WhisperDecoderLayer": 3, "Wav2Vec2EncoderLayer": 2, "Wav2Vec2Encoder": 1,
}  # fmt: skip
_DIFFUSERS: Mapping[str, Rule] = {
    "ResnetBlock2D": 1, "Attention": _flag("residual_connection"),
    "UpBlock2D": lambda block: len(block.resnets), "AttnUpBlock2D": lambda block: len(block.resnets),
}  # fmt: skip


def truth(model: nn.Module, graph: Graph) -> tuple[int, str] | None:
    """(Number of skips, how it was counted), None where the network's own module is not in the tables."""
    if _rules(type(model)) is None:
        return None
    counted: Counter[tuple[str, int]] = Counter()
    for call in graph.calls:
        module = model.get_submodule(call.path)
        rule = (_rules(type(module)) or {}).get(type(module).__name__, 0)
        number = rule if isinstance(rule, int) else rule(module)
        if number:
            counted[type(module).__name__, number] += 1
    words = [f"{times} {name}" + (f" x {number}" if number > 1 else "") for (name, number), times in counted.items()]
    return sum(number * times for (_, number), times in counted.items()), " + ".join(
        words
    ) or "none of its classes adds"


def _rules(kind: type) -> Mapping[str, Rule] | None:
    library, _, rest = kind.__module__.partition(".")
    area, _, name = rest.partition(".")
    if library == "transformers":
        return _TRANSFORMERS
    if library == "diffusers":
        return _DIFFUSERS
    tables = {("torchvision", "models"): _TORCHVISION, ("timm", "models"): _TIMM, ("timm", "layers"): _TIMM_LAYERS}
    return tables.get((library, area), {}).get(name)
