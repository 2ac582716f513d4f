"""With skips the training loss is lower, and falls faster (He 2015, section 4.1)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import HALVING, TRAIN_LOSS

CLAIM = Claim(
    "skips-train",
    "With skip connections the training loss is lower in the end, and falls faster.",
    "He 2015, arXiv 1512.03385, section 4.1",
    "The plain network against the residual one with as many parameters (zero padding on the shortcut), at each depth. "
    "A run whose loss never comes down to half of chance's counts with the number of its epochs, which favours it.",
    tuple(
        Prediction(f"{what} at {depth} layers", measure, greater=Arm(f"plain{depth}"), lesser=Arm(f"resnet{depth}"))
        for what, measure in (("lower", TRAIN_LOSS), ("faster", HALVING))
        for depth in (8, 20, 32, 56)
    ),
)
