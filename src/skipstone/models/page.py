"""Write the page of the networks: `python -m skipstone.models.page docs/models.md`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from skipstone.models.counting import costs
from skipstone.models.families import FAMILIES, Family
from skipstone.models.registry import names, options

_HEAD = """\
# Networks

`skipstone.models.create("resnet20", num_classes=10)` builds a network by name, `skipstone.models.names()` lists the
published ones, `skipstone models` prints them and `skipstone models NAME` one with its options. They are built from the
blocks of the [catalogue](designs/index.md). A number in a name may be any that the family's form allows: `resnet26` is
a network, `resnet21` an error that offers 20 and 26.

The networks of three stages fit images of any size: 3x32x32 as published, 1x8x8 for the digits (`in_channels=1`); with
`dims=1` series (N, C, L), with `dims=3` volumes.
`width`, `blocks_per_stage`, `dropout`, `norm` ("batch", "group", "none") and `init` ("he", "torch") are options where a
family has them; its page says which. Weights of `imagenet_resnet18`, `imagenet_resnet50`, `imagenet_densenet121`,
`mobilenetv2` and `convnext_tiny` in torchvision's order give torchvision's outputs; tests hold that.

Parameters, multiply-adds (convolutions and linear layers, batch 1, without bias, norm, pooling or addition) and the
bytes of all activations (float32) are counted from the recorded network, by `skipstone models --costs` or
`skipstone.models.costs("resnet20")`. The input is that of the family's table.
"""
_TAIL = """
## Tutorials' networks

`skipstone.models.tutorials` holds the networks of five tutorials on skip connections, each in a small file. Four are
broken on purpose, and `skipstone check` says how.

| network | what it is | on the tutorial's input |
|-|-|-|
| `LayerOneToThree` | the output of layer 1 added to that of layer 3 | runs for every image of at least 8x8 |
| `TwoConvResidual` | two convolutions, kernel 2, stride 2, padding 2, plus the input | fails: 32x32 meets 11x11 |
| `TwoConvResidualRepaired` | kernel 3, stride 1, padding 1 | runs for every size |
| `ResNetBlock(64, 128)` | a residual block that widens, without projection | fails: 64 channels meet 128 |
| `ResNetBlockRepaired(64, 128)` | the same with a 1x1 convolution | runs |
| `keras_block.keras_residual_block` | the block in Keras on the torch backend (extra `keras`) | runs |
| `ResidualBlock(16, 32)` | conv-norm-ReLU-conv-norm, add, ReLU | fails: right for equal channels alone |
| `SkipConnectionBlock` | conv-ReLU-conv concatenated with its input | runs |
| `DeepCNN` | conv-norm-ReLU-pool and a linear layer for 2,048 features | fails: 8,192 features meet 2,048 |
| `DeepCNNRepaired` | the linear layer for 8,192 | runs |
| `FinishedCNN` | residual blocks, max pooling, dropout: `create("tutorial_cnn")` | runs |

With `pool_first` the skip of `LayerOneToThree` costs 16,384 multiply-adds in place of 262,144. For average pooling that
is the same function; for max pooling, the tutorial's, it is another.

## What the counts are held to

Plain and basic residual networks with shortcut A follow the closed forms, n = (depth - 2)/6: 97,216n - 21,926
parameters and 14,155,776n - 1,916,288 multiply-adds; shortcut B adds 2,752 and 262,144, a hundred classes 5,850
parameters. The counts of `revnet38` and `revnet110` are those of our reading of the paper, which prints 0.46 and 1.73
million; other code counts 685,864 for the first. `highway19` is modelled on the 2.3 million parameters that its paper
reports. `pyramidnet110_48` rounds its widths to the nearest integer; rounded down, as the paper writes, it would have
1,739,730 parameters.
"""


def page(chosen: Iterable[str] | None = None) -> str:
    """The page in Markdown, with the costs of the `chosen` networks (all of them unless given)."""
    wanted = set(names() if chosen is None else chosen)
    return (
        "\n".join([_HEAD, *(line for family in FAMILIES for line in _family(family, wanted))])
        + "\n"
        + _TAIL.lstrip("\n")
    )


def _family(family: Family, wanted: set[str]) -> Iterator[str]:
    yield f"## {family.form}\n"
    paper = f" {family.paper}." if family.paper else ""
    shape = "x".join(map(str, family.input_shape))
    yield f"{family.summary[0].upper()}{family.summary[1:]}.{paper} Input {shape}.\n"
    yield f"Options: {', '.join(f'`{name}={value!r}`' for name, value in options(family.names[0]).items())}.\n"
    yield "| network | parameters | multiply-adds | activation bytes |"
    yield "|-|-:|-:|-:|"
    for name in family.names:
        if name in wanted:
            yield row(name)
    yield ""


def row(name: str) -> str:
    """The line of one network in its family's table."""
    total = costs(name)
    return f"| `{name}` | {total.num_parameters:,} | {total.macs:,} | {total.activation_bytes:,} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
