"""pytorchcv: one network or more of each of its families, the smallest there is."""

from importlib import import_module
from typing import Any

import torch
from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Network, each, flag, image

# On pictures of 224 x 224, unless said otherwise below.
LARGE = """
    resnet10 resnetbc14b preresnet10 preresnetbc14b resnext14_16x4d seresnet10 sepreresnet10 senet16 resnestabc14
    ibn_resnet50 ibnb_resnet50 ibn_resnext50_32x4d ibn_densenet121 airnet50_1x64d_r2 airnext50_32x4d_r2 bam_resnet18
    cbam_resnet18 sknet50 scnet50 regnetx002 regnety002 diaresnet10 diapreresnet10 sharesnet18 densenet121
    condensenet74_c4_g4 sparsenet121 peleenet wrn50_2 drnc26 drnd22 dpn68 darknet53 bagnet9 dla34 dla46c
    selecsls42 vovnet27s vovnet39 xdensenet121_2 squeezenet_v1_0 squeezeresnet_v1_0 sqnxt23_w1 shufflenet_g1_wd4
    shufflenet_g3_wd4 shufflenetv2_wd2 shufflenetv2b_wd2 menet108_8x1_g3 mobilenet_wd4 mobilenetb_wd4 fdmobilenet_wd4
    mobilenetv2_wd4 mobilenetv2b_wd4 mobilenetv3_small_w7d20 mobilenetv3_large_w7d20 igcv3_wd4 ghostnet mnasnet_b1
    mnasnet_small proxylessnas_cpu fbnet_cb xception inceptionv3 inceptionv4 inceptionresnetv1 inceptionresnetv2
    polynet spnasnet efficientnet_b0 efficientnet_b0b efficientnet_edge_small_b mixnet_s isqrtcovresnet18 resneta10
    resnetabc14b octresnet10_ad2 tresnet_m vgg11 bn_vgg11 alexnet zfnet bninception
""".split()
SMALL = """
    nin_cifar10 resnet20_cifar10 resnet164bn_cifar10 preresnet20_cifar10 preresnet56_cifar10 resnext20_16x4d_cifar10
    resnext29_32x4d_cifar10 seresnet20_cifar10 sepreresnet20_cifar10 pyramidnet110_a48_cifar10 densenet40_k12_cifar10
    densenet40_k12_bc_cifar10 xdensenet40_2_k24_bc_cifar10 wrn16_10_cifar10 ror3_56_cifar10 resdropresnet20_cifar10
    shakeshakeresnet20_2x16d_cifar10 shakedropresnet20_cifar10 diaresnet20_cifar10 diapreresnet20_cifar10
""".split()
# The sides of pictures that are not 224.
_SIDES = {"inceptionv3": 299, "inceptionv4": 299, "inceptionresnetv1": 299, "inceptionresnetv2": 299, "xception": 299,
          "polynet": 331}  # fmt: skip
DENSE = {
    "fcn8sd_resnetd50b_voc": 480, "pspnet_resnetd50b_voc": 480, "deeplabv3_resnetd50b_voc": 480,
    "erfnet_cityscapes": 256, "esnet_cityscapes": 256, "segnet_cityscapes": 256,
    "simplepose_resnet18_coco": 256, "simplepose_mobile_resnet18_coco": 256,
    "centernet_resnet18_voc": 256,
}  # fmt: skip


def _network(name: str, side: int) -> Network:
    def build() -> nn.Module:
        import_torchvision("pytorchcv")
        with torch.device("meta" if side > 400 else "cpu"):  # what takes minutes to run is run on shapes
            model: nn.Module = import_module("pytorchcv.model_provider").get_model(name)
        return model

    return Network(name, build, image(2, 3, side, side))


def _carried(network: Any) -> int:
    return sum(len(stage) - 1 for name, stage in network.features.named_children() if name.startswith("stage"))


_RESIDUAL = flag("residual")
_ADDS = {
    "airnet": {"AirUnit": 1},
    "airnext": {"AirNeXtUnit": 1},
    "bagnet": {"BagNetUnit": 1},
    "cbamresnet": {"CbamResUnit": 1},
    "condensenet": {"CondenseUnit": 1},
    "darknet53": {"DarkUnit": 1},
    "densenet": {"DenseUnit": 1},
    "densenet_cifar": {"DenseSimpleUnit": 1},
    # Besides, the cell of a stage's LSTM is carried past each of its units but the first, behind a gate.
    "diapreresnet": {"DIAPreResUnit": 1, "DIAPreResNet": _carried},
    "diapreresnet_cifar": {"CIFARDIAPreResNet": _carried},
    "diaresnet": {"DIAResUnit": 1, "DIAResNet": _carried},
    "diaresnet_cifar": {"CIFARDIAResNet": _carried},
    "pspnet": {"PyramidPooling": 1},
    # A root joins two blocks, the second of which was made from the first.
    "dla": {"DLAResBlock": 1, "DLARoot": lambda root: 1 + int(root.residual)},
    # Both of its paths, the sum and the join.
    "dpn": {"DPNUnit": 2},
    "drn": {"DRNUnit": _RESIDUAL},
    "efficientnet": {"EffiDwsConvUnit": _RESIDUAL, "EffiInvResUnit": _RESIDUAL},
    "efficientnetedge": {"EffiEdgeResUnit": _RESIDUAL},
    "erfnet": {"FCU": 1},
    "esnet": {"PFCU": 1},
    "fastseresnet": {"FastSEResUnit": 1},
    "fbnet": {"FBNetUnit": _RESIDUAL},
    "ghostnet": {"GhostUnit": 1, "GhostConvBlock": 1},
    "ibnbresnet": {"IBNbResUnit": 1},
    "ibndensenet": {"IBNDenseUnit": 1},
    "ibnresnet": {"IBNResUnit": 1},
    "ibnresnext": {"IBNResNeXtUnit": 1},
    "igcv3": {"InvResUnit": _RESIDUAL},
    "inceptionresnetv1": {"InceptionAUnit": 1, "InceptionBUnit": 1, "InceptionCUnit": 1},
    # `x` is joined with its average pooling's branch where the unit goes down, added to it elsewhere.
    "menet": {"MEUnit": 1},
    "mixnet": {"MixUnit": _RESIDUAL},
    "mnasnet": {"DwsExpSEResUnit": _RESIDUAL},
    "mobilenetv2": {"LinearBottleneck": _RESIDUAL},
    "mobilenetv3": {"MobileNetV3Unit": _RESIDUAL},
    # Both of its streams, where there are two.
    "octresnet": {"OctResUnit": lambda unit: 1 if unit.body.conv2.last else 2},
    # the stem joins a pooled map to two convolutions of it
    "peleenet": {"DenseBlock": 1, "StemBlock": 1},
    # `x + f(x) + g(x)`: one skip and parallel branches. `x + f(x) + g(f(x))`: a skip each.
    "polynet": {"MultiResidual": 1, "PolyResidual": each("res_blocks")},
    "preresnet": {"PreResUnit": 1},
    "proxylessnas": {"ProxylessUnit": lambda unit: int(unit.residual and unit.shortcut)},
    "pyramidnet": {"PyrUnit": 1},
    "regnet": {"RegNetUnit": 1},
    "resdropresnet_cifar": {"ResDropResUnit": 1},
    "resnesta": {"ResNeStAUnit": 1},
    "resnet": {"ResUnit": 1},
    "resneta": {"ResAUnit": 1},
    "resnext": {"ResNeXtUnit": 1},
    "revnet": {"RevUnit": 1, "ReversibleBlock": 2},
    "ror_cifar": {"RoRResUnit": 1, "RoRResStage": 1, "RoRResBody": 1},
    "scnet": {"ScUnit": 1},
    "selecsls": {"SelecSLSUnit": 1},
    "senet": {"SENetUnit": 1},
    "sepreresnet": {"SEPreResUnit": 1},
    "seresnet": {"SEResUnit": 1},
    "seresnext": {"SEResNeXtUnit": 1},
    "shakedropresnet_cifar": {"ShakeDropResUnit": 1},
    "shakeshakeresnet_cifar": {"ShakeShakeResUnit": 1},
    "sharesnet": {"ShaResUnit": 1},
    "shufflenet": {"ShuffleUnit": 1},
    "shufflenetv2": {"ShuffleUnit": flag("use_residual")},
    "shufflenetv2b": {"ShuffleUnit": flag("use_residual")},
    "sknet": {"SKNetUnit": 1},
    "sparsenet": {"SparseStage": each("blocks")},
    "spnasnet": {"SPNASUnit": _RESIDUAL},
    "squeezenet": {"FireUnit": _RESIDUAL},
    "squeezenext": {"SqnxtUnit": 1},
    # Its units are called past torch's hooks, so that they are counted where they are held.
    "tresnet": {"TResNet": lambda net: sum(type(module).__name__ == "TResUnit" for module in net.modules())},
    "vovnet": {"VoVUnit": lambda unit: 1 + int(unit.use_residual)},
    "wrn": {"WRNUnit": 1},
    "xception": {"XceptionUnit": 1},
    "xdensenet": {"XDenseUnit": 1},
    "xdensenet_cifar": {"XDenseSimpleUnit": 1},
    # What adds nothing: its networks are chains, or their branches are all layers.
    **{name: {} for name in "alexnet zfnet vgg bninception nin_cifar mobilenet mobilenetb fdmobilenet inceptionv3 "
       "inceptionv4 segnet".split()},
}  # fmt: skip
FAMILY = Family(
    "pytorchcv",
    (
        *(_network(name, _SIDES.get(name, 224)) for name in LARGE),
        *(_network(name, 32) for name in SMALL),
        *(_network(name, side) for name, side in DENSE.items()),
    ),
    {"": {}, **_ADDS},
)
