"""The 19-layer highway network for CIFAR: Srivastava 2015 (arXiv 1507.06228), fully convolutional.

    3x3 layers of 32, 32, 32, 48, 48 channels, pooling, 6 of 80, pooling, 6 of 128, mean, then 1x1 to the classes

A layer that keeps its channels is a highway layer, T * relu(conv(x)) + (1 - T) * x; one that changes them is plain.
With the classifier and the softmax these are the paper's 19 layers. The exact widths come from the network it was
modelled on and from the 2.3 million parameters that it reports; ours has 2,274,186. The paper takes the mean after the
1x1 convolution, which is the same function at 64 times that layer's cost.
"""

from torch import Tensor, nn

from skipstone.blocks.highway import Highway
from skipstone.blocks.parts.layers import conv, global_avg_pool, max_pool
from skipstone.models.options import at_least, one_of, probability
from skipstone.models.stages import INITS, initialised

_STAGES = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)


class HighwayNetwork(nn.Module):
    """Images (N, in_channels, H, W), H and W at least 4, to logits (N, num_classes)."""

    def __init__(self, num_classes: int, in_channels: int, gate_bias: float, dropout: float, dims: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        self.num_skips = 0
        for index, stage in enumerate(_STAGES):
            if index:
                layers += [max_pool(2, dims=dims), nn.Dropout(dropout)]
            for width in stage:
                branch = nn.Sequential(conv(channels, width, bias=True, dims=dims), nn.ReLU())
                carries = width == channels
                layers.append(Highway(branch, width, gate_bias=gate_bias, dims=dims) if carries else branch)
                self.num_skips += carries
                channels = width
        self.layers = nn.Sequential(*layers)
        self.pool = global_avg_pool(dims)
        self.classifier = conv(channels, num_classes, 1, bias=True, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.layers(x)))
        return logits.flatten(1)


def highway(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    gate_bias: float = -2.0,
    dropout: float = 0.0,
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The 19-layer network; `gate_bias` below 0 makes new layers carry their input, `dropout` follows each pooling."""
    at_least("num_classes", num_classes, 1)
    at_least("in_channels", in_channels, 1)
    probability("dropout", dropout)
    one_of("init", init, INITS)
    return initialised(HighwayNetwork(num_classes, in_channels, gate_bias, dropout, dims), init)
