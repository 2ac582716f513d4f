"""Concatenating networks need fewer parameters for the same accuracy (Huang 2016, section 4.3)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.looking import PARAMETERS
from skipstone.experiments.claims.measures import TEST_ACCURACY

MARGIN = 0.01

CLAIM = Claim(
    "compact",
    "Networks that concatenate are more compact: they are as accurate with fewer parameters.",
    "Huang 2016, arXiv 1608.06993, section 4.3",
    "Dense against residual networks of one depth. A depth counts where the dense network has fewer parameters and is "
    "shown to be less than one point worse in test accuracy (a margin chosen beforehand).",
    tuple(
        prediction
        for depth in (20, 56)
        for prediction in (
            Prediction(f"at {depth} layers", PARAMETERS, Arm(f"resnet{depth}"), Arm(f"dense{depth}")),
            Prediction(f"at {depth} layers", TEST_ACCURACY, Arm(f"dense{depth}"), Arm(f"resnet{depth}"), MARGIN),
        )
    ),
)
