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

FAMILIES: tuple[Family, ...] = (
    Family(
        form="plain{depth}",
        pattern=r"plain(\d+)",
        builder=f"{_HERE}.plain:plain",
        names=tuple(f"plain{d}" for d in _CIFAR_DEPTHS),
        summary="three stages of 3x3 convolutions without skips, depth 6n+2",
        paper="He 2015, arXiv 1512.03385, section 4.2",
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
        form="tutorial_cnn",
        pattern=r"tutorial_cnn",
        builder=f"{_HERE}.tutorials.finished_cnn:FinishedCNN",
        names=("tutorial_cnn",),
        summary="the network a tutorial describes: stages of residual blocks with max pooling and dropout",
        paper="",
    ),
)
