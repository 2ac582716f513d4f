"""A 1x1 convolution on the shortcut does better than zero padding (He 2015, table 3: option B against A)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import TEST_ACCURACY, TRAIN_LOSS

CLAIM = Claim(
    "projection",
    "Where shapes change, a 1x1 convolution on the shortcut (option B) is better than zero padding (option A).",
    "He 2015, arXiv 1512.03385, section 4.1: slightly, on ImageNet",
    "Residual networks with either shortcut at the two places where the map halves, everything else alike.",
    tuple(
        prediction
        for depth in (8, 20, 56)
        for prediction in (
            Prediction(
                f"accuracy, {depth} layers", TEST_ACCURACY,
                Arm(f"resnet{depth}", {"shortcut": "B"}), Arm(f"resnet{depth}"),
            ),
            Prediction(
                f"training loss, {depth} layers", TRAIN_LOSS,
                Arm(f"resnet{depth}"), Arm(f"resnet{depth}", {"shortcut": "B"}),
            ),
        )
    ),
)  # fmt: skip
