"""segmentation_models_pytorch: each of its architectures, on encoders of several kinds."""

from importlib import import_module
from typing import Any

from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Network, Rule, flag, image

# Architecture, encoder.
PAIRS = [
    line.split()
    for line in """
    Unet resnet18
    Unet resnet50
    Unet mobilenet_v2
    Unet efficientnet-b0
    Unet densenet121
    Unet mit_b0
    Unet vgg11
    Unet se_resnet50
    Unet inceptionv4
    Unet timm-regnetx_002
    Unet timm-res2net50_26w_4s
    UnetPlusPlus resnet18
    UnetPlusPlus mobilenet_v2
    UnetPlusPlus vgg11_bn
    MAnet resnet18
    MAnet efficientnet-b0
    Linknet resnet18
    Linknet resnet34
    Linknet mobilenet_v2
    Linknet efficientnet-b0
    FPN resnet18
    FPN resnet50
    FPN mit_b0
    FPN mobilenet_v2
    PSPNet resnet18
    PSPNet mobilenet_v2
    PSPNet vgg11
    DeepLabV3 resnet18
    DeepLabV3 mobilenet_v2
    DeepLabV3Plus resnet18
    DeepLabV3Plus mobilenet_v2
    DeepLabV3Plus efficientnet-b0
    Segformer mit_b0
    Segformer resnet18
    UPerNet resnet18
    UPerNet mit_b0
""".strip().splitlines()
]


def _network(architecture: str, encoder: str) -> Network:
    def build() -> nn.Module:
        import_torchvision("segmentation_models_pytorch")
        package: Any = import_module("segmentation_models_pytorch")
        model: nn.Module = getattr(package, architecture)(encoder, encoder_weights=None)
        return model

    return Network(f"{architecture} {encoder}", build, image(2, 3, 64, 64))


def _all_but_the_last(name: str) -> Rule:
    """The last block of these decoders goes up beyond the encoder's first map: there is none for it to join."""
    return lambda decoder: len(getattr(decoder, name)) - 1


def _joined(decoder: Any) -> int:
    """The blocks that are given a map: at the encoder's first size Mix Transformers have none, but an empty tensor."""
    before = [block.conv2[0].out_channels for block in decoder.blocks[:-1]]
    return 1 + sum(block.conv1[0].in_channels > own for block, own in zip(decoder.blocks[1:], before, strict=True))


_ADDS: dict[str, Rule] = {
    # decoders
    "UnetDecoder": _joined,
    # A node is joined to a map that was itself joined, wherever there is more than one to its left.
    "UnetPlusPlusDecoder": lambda decoder: len(decoder.blocks) - 1 + decoder.depth * (decoder.depth - 1) // 2,
    "MAnetDecoder": _all_but_the_last("blocks"),
    "PABBlock": 1,
    "LinknetDecoder": _all_but_the_last("blocks"),
    "FPNBlock": 1,
    "PSPModule": 1,
    "DeepLabV3PlusDecoder": 1,
    "FPNLateralBlock": 1,
    # encoders
    "BasicBlock": 1,
    "Bottleneck": 1,
    "InvertedResidual": flag("use_res_connect"),
    "MBConvBlock": flag("_has_drop_connect"),
    "_DenseLayer": 1,
    "Block": 2,
    "SEResNetBottleneck": 1,
    "Bottle2neck": 1,
}
_NESTED = (
    "a node of the second level or deeper is joined to maps that went through two convolutions or more at each node to "
    "its left: units of more than three layers, which docs/design/skips.md calls parallel"
)
FAMILY = Family(
    "segmentation_models_pytorch",
    tuple(_network(*pair) for pair in PAIRS),
    {"": _ADDS},
    differs={f"UnetPlusPlus {encoder}": _NESTED for encoder in ("resnet18", "mobilenet_v2", "vgg11_bn")},
    rightly={
        "UnetPlusPlus vgg11_bn": "the decoder's center block is made for this encoder and never called",
        "PSPNet mobilenet_v2": "of the encoder's layers those behind the third stage run for nothing",
    },
)
