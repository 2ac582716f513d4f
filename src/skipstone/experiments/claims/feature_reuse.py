"""What is concatenated is used again by all later layers (Huang 2016, section 5, figure 5)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.looking import OLDER_GRADIENTS, OLDER_WEIGHTS, SKIP_WORTH

_HALF = 0.5

CLAIM = Claim(
    "feature-reuse",
    "Concatenation makes later layers use the features of earlier ones again.",
    "Huang 2016, arXiv 1608.06993, section 5",
    "Trained dense networks, asked in three ways. Weights and gradient: what all maps but the newest get, a channel, "
    "where 1 is as much as the newest; more than half of that counts. Worth: test accuracy lost where one "
    "concatenation's older maps are replaced by zeros and batch norm is recalibrated, without training again; more "
    "than 0 counts.",
    tuple(
        prediction
        for depth in (20, 56)
        for prediction in (
            Prediction(f"weights, {depth} layers", OLDER_WEIGHTS, Arm(f"dense{depth}"), _HALF),
            Prediction(f"gradient, {depth} layers", OLDER_GRADIENTS, Arm(f"dense{depth}"), _HALF),
            Prediction(f"worth, {depth} layers", SKIP_WORTH, Arm(f"dense{depth}"), 0.0),
        )
    ),
)
