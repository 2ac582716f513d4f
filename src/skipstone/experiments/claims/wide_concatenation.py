"""Concatenation makes the last layers of a network very wide (Huang 2016, section 3)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.looking import LAST_CHANNELS

CLAIM = Claim(
    "wide-concatenation",
    "Concatenation gives very wide last layers.",
    "Huang 2016, arXiv 1608.06993, section 3",
    "Counted: the channels that the classifier reads, in dense and residual networks of one depth and in the published "
    "ones of about one size (DenseNet-40-12 has 1.0 million parameters, ResNet-56 0.85 million).",
    (
        Prediction("dense20 and resnet20", LAST_CHANNELS, Arm("dense20"), Arm("resnet20")),
        Prediction("dense56 and resnet56", LAST_CHANNELS, Arm("dense56"), Arm("resnet56")),
        Prediction(
            "DenseNet-40-12 and ResNet-56 as published", LAST_CHANNELS,
            Arm("densenet40_12", {"width": 16}), Arm("resnet56", {"width": 16}),
        ),
        Prediction(
            "DenseNet-BC-100-12 and ResNet-56 as published", LAST_CHANNELS,
            Arm("densenet_bc100_12", {"width": 24}), Arm("resnet56", {"width": 16}),
        ),
    ),
)  # fmt: skip
