"""Stacking more layers makes a plain network worse, in training already (He 2015, figure 1)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import TRAIN_LOSS

CLAIM = Claim(
    "deep-plain",
    "Deep plain networks train worse than shallow ones: more layers give a higher training loss, so it is no "
    "overfitting.",
    "He 2015, arXiv 1512.03385, section 1",
    "Plain networks of 14 to 56 layers, each against the plain network of 8 layers at equal epochs and recipe.",
    tuple(
        Prediction(f"at {depth} layers", TRAIN_LOSS, greater=Arm(f"plain{depth}"), lesser=Arm("plain8"))
        for depth in (14, 20, 32, 44, 56)
    ),
)
