"""The table of families: which names there are, who builds them, what they eat. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A family of networks.

    `form` is the name as people read it, `pattern` the regular expression a name must match whole, `builder` the
    function (`module:function`) that gets the pattern's groups, numbers as integers, and the options as keywords.
    `names` are the published ones. `input_shape` is that of one example without the batch axis.
    """

    form: str
    pattern: str
    builder: str
    names: tuple[str, ...]
    summary: str
    paper: str
    input_shape: tuple[int, ...] = (3, 32, 32)


_CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
_HERE = "skipstone.models"
_IMAGENET = (3, 224, 224)

FAMILIES: tuple[Family, ...] = (
    Family(
        form="plain{depth}",
        pattern=r"plain(\d+)",
        builder=f"{_HERE}.plain:plain",
        names=tuple(f"plain{d}" for d in _CIFAR_DEPTHS),
        summary="three stages of 3x3 convolutions without skips, depth 6n+2",
        paper="He 2015, arXiv 1512.03385, section 4.2",
    ),
    Family(  # before the family below, whose pattern its name would fit too
        form="resnet9",
        pattern=r"resnet9",
        builder=f"{_HERE}.resnet9:resnet9",
        names=("resnet9",),
        summary="few and wide layers for fast training, two residual units",
        paper="Page 2018, How to train your ResNet",
    ),
    Family(
        form="resnet{depth}",
        pattern=r"resnet(\d+)",
        builder=f"{_HERE}.residual:resnet",
        names=("resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet164", "resnet1001", "resnet1202"),
        summary="residual blocks, shortcut A, B or C; depth 6n+2, bottlenecks 9n+2",
        paper="He 2015, arXiv 1512.03385, section 4.2",
    ),
    Family(
        form="preact{depth}",
        pattern=r"preact(\d+)",
        builder=f"{_HERE}.residual:preact",
        names=("preact20", "preact56", "preact110", "preact164", "preact1001"),
        summary="residual blocks with full pre-activation; depth 6n+2, bottlenecks 9n+2",
        paper="He 2016, arXiv 1603.05027",
    ),
    Family(
        form="wrn{depth}_{factor}",
        pattern=r"wrn(\d+)_(\d+)",
        builder=f"{_HERE}.residual:wrn",
        names=("wrn16_4", "wrn16_8", "wrn22_8", "wrn28_10", "wrn28_12", "wrn40_1", "wrn40_2", "wrn40_4"),
        summary="wide pre-activation networks, depth 6n+4",
        paper="Zagoruyko 2016, arXiv 1605.07146",
    ),
    Family(
        form="dense{depth}",
        pattern=r"dense(\d+)",
        builder=f"{_HERE}.dense:dense",
        names=("dense20", "dense32", "dense44", "dense56", "dense110"),
        summary="concatenation at the depths of plain and resnet: DenseNet-BC, transitions not counted",
        paper="Huang 2016, arXiv 1608.06993",
    ),
    Family(
        form="densenet{depth}_{growth}",
        pattern=r"densenet(\d+)_(\d+)",
        builder=f"{_HERE}.dense:densenet",
        names=("densenet40_12", "densenet100_12", "densenet100_24"),
        summary="dense blocks without bottleneck or compression, depth 3n+4",
        paper="Huang 2016, arXiv 1608.06993",
    ),
    Family(
        form="densenet_bc{depth}_{growth}",
        pattern=r"densenet_bc(\d+)_(\d+)",
        builder=f"{_HERE}.dense:densenet_bc",
        names=("densenet_bc100_12", "densenet_bc190_40", "densenet_bc250_24"),
        summary="dense blocks with bottlenecks, transitions that halve the channels, depth 6n+4",
        paper="Huang 2016, arXiv 1608.06993",
    ),
    Family(
        form="resnext{depth}_{groups}x{width}d",
        pattern=r"resnext(\d+)_(\d+)x(\d+)d",
        builder=f"{_HERE}.resnext:resnext",
        names=("resnext29_8x64d", "resnext29_16x64d", "resnext29_32x4d"),
        summary="bottlenecks with grouped convolutions, depth 9n+2",
        paper="Xie 2016, arXiv 1611.05431",
    ),
    Family(
        form="fixup{depth}",
        pattern=r"fixup(\d+)",
        builder=f"{_HERE}.fixup:fixup",
        names=("fixup20", "fixup56", "fixup110"),
        summary="residual blocks without normalisation, depth 6n+2",
        paper="Zhang 2019, arXiv 1901.09321",
    ),
    Family(
        form="revnet{depth}",
        pattern=r"revnet(\d+)",
        builder=f"{_HERE}.revnet:revnet",
        names=("revnet38", "revnet110"),
        summary="reversible residual units that store no activations, depth 12n+2",
        paper="Gomez 2017, arXiv 1707.04585",
    ),
    Family(
        form="pyramidnet{depth}_{alpha}",
        pattern=r"pyramidnet(\d+)_(\d+)",
        builder=f"{_HERE}.pyramidnet:pyramidnet",
        names=("pyramidnet110_48", "pyramidnet110_84"),
        summary="pre-activation blocks that widen by equal amounts, depth 6n+2",
        paper="Han 2016, arXiv 1610.02915",
    ),
    Family(
        form="shake_shake{depth}_2x{width}d",
        pattern=r"shake_shake(\d+)_2x(\d+)d",
        builder=f"{_HERE}.shake_shake:shake_shake",
        names=("shake_shake26_2x32d", "shake_shake26_2x64d", "shake_shake26_2x96d"),
        summary="two branches mixed at random in training, depth 6n+2",
        paper="Gastaldi 2017, arXiv 1705.07485",
    ),
    Family(
        form="fractalnet{columns}",
        pattern=r"fractalnet(\d+)",
        builder=f"{_HERE}.fractalnet:fractalnet",
        names=("fractalnet3", "fractalnet4"),
        summary="five self-similar blocks of parallel columns",
        paper="Larsson 2016, arXiv 1605.07648",
    ),
    Family(
        form="stochastic_depth{depth}",
        pattern=r"stochastic_depth(\d+)",
        builder=f"{_HERE}.stochastic_depth:stochastic_depth",
        names=("stochastic_depth110", "stochastic_depth1202"),
        summary="residual blocks dropped at random in training, depth 6n+2",
        paper="Huang 2016, arXiv 1603.09382",
    ),
    Family(
        form="highway19",
        pattern=r"highway19",
        builder=f"{_HERE}.highway:highway",
        names=("highway19",),
        summary="learned gates between a layer and its own input, 19 layers",
        paper="Srivastava 2015, arXiv 1507.06228",
    ),
    Family(
        form="imagenet_resnet{depth}",
        pattern=r"imagenet_resnet(18|34|50|101|152)",
        builder=f"{_HERE}.imagenet:resnet",
        names=tuple(f"imagenet_resnet{d}" for d in (18, 34, 50, 101, 152)),
        summary="ResNet for ImageNet shapes",
        paper="He 2015, arXiv 1512.03385, table 1",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_plain{depth}",
        pattern=r"imagenet_plain(18|34)",
        builder=f"{_HERE}.imagenet:plain",
        names=("imagenet_plain18", "imagenet_plain34"),
        summary="ResNet-18 and -34 without skips",
        paper="He 2015, arXiv 1512.03385, section 4.1",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_resnet{depth}_d",
        pattern=r"imagenet_resnet(50|101|152)_d",
        builder=f"{_HERE}.imagenet:resnet_d",
        names=("imagenet_resnet50_d",),
        summary="ResNet-D: pooled projections, deep stem",
        paper="He T. 2018, arXiv 1812.01187",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_resnext{depth}_{groups}x{width}d",
        pattern=r"imagenet_resnext(50|101|152)_(\d+)x(\d+)d",
        builder=f"{_HERE}.imagenet:resnext",
        names=("imagenet_resnext50_32x4d",),
        summary="bottlenecks with grouped convolutions",
        paper="Xie 2016, arXiv 1611.05431",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_res2net{depth}_{width}wx{scale}s",
        pattern=r"imagenet_res2net(50|101|152)_(\d+)wx(\d+)s",
        builder=f"{_HERE}.imagenet:res2net",
        names=("imagenet_res2net50_26wx4s",),
        summary="bottlenecks whose parts read each other's results",
        paper="Gao 2019, arXiv 1904.01169",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_dpn{depth}",
        pattern=r"imagenet_dpn(68|92|98)",
        builder=f"{_HERE}.dual_path:dual_path",
        names=("imagenet_dpn68", "imagenet_dpn92", "imagenet_dpn98"),
        summary="residual sums on some channels, concatenation on the rest",
        paper="Chen 2017, arXiv 1707.01629",
        input_shape=_IMAGENET,
    ),
    Family(
        form="imagenet_densenet{depth}",
        pattern=r"imagenet_densenet(121|161|169|201)",
        builder=f"{_HERE}.imagenet:densenet",
        names=tuple(f"imagenet_densenet{d}" for d in (121, 161, 169, 201)),
        summary="dense blocks with bottlenecks for ImageNet shapes",
        paper="Huang 2016, arXiv 1608.06993, table 1",
        input_shape=_IMAGENET,
    ),
    Family(
        form="mobilenetv2",
        pattern=r"mobilenetv2",
        builder=f"{_HERE}.mobilenetv2:mobilenetv2",
        names=("mobilenetv2",),
        summary="inverted residuals between linear bottlenecks",
        paper="Sandler 2018, arXiv 1801.04381",
        input_shape=_IMAGENET,
    ),
    Family(
        form="convnext_tiny",
        pattern=r"convnext_tiny",
        builder=f"{_HERE}.convnext:convnext",
        names=("convnext_tiny",),
        summary="depthwise 7x7 blocks with layer norm and a small learned scale",
        paper="Liu 2022, arXiv 2201.03545",
        input_shape=_IMAGENET,
    ),
    Family(
        form="repvgg_{size}",
        pattern=r"repvgg_(a0|a1|a2)",
        builder=f"{_HERE}.repvgg:repvgg",
        names=("repvgg_a0", "repvgg_a1", "repvgg_a2"),
        summary="three parallel branches that fold into one convolution",
        paper="Ding 2021, arXiv 2101.03697",
        input_shape=_IMAGENET,
    ),
    Family(
        form="unet",
        pattern=r"unet",
        builder=f"{_HERE}.unet:unet",
        names=("unet",),
        summary="encoder and decoder joined by concatenations; class maps, not logits",
        paper="Ronneberger 2015, arXiv 1505.04597",
        input_shape=(1, 256, 256),
    ),
    Family(
        form="tutorial_cnn",
        pattern=r"tutorial_cnn",
        builder=f"{_HERE}.tutorials.finished_cnn:FinishedCNN",
        names=("tutorial_cnn",),
        summary="the network a tutorial describes: stages of residual blocks with max pooling and dropout",
        paper="",
    ),
)
