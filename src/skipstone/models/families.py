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
        form="tutorial_cnn",
        pattern=r"tutorial_cnn",
        builder=f"{_HERE}.tutorials.finished_cnn:FinishedCNN",
        names=("tutorial_cnn",),
        summary="the network a tutorial describes: stages of residual blocks with max pooling and dropout",
        paper="",
    ),
)
