"""Dropout regularises (Srivastava 2014): less is learnt by heart, and more is right on new images."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import GAP, TEST_ACCURACY

_HALF = 0.5
_WITHOUT = Arm("resnet20", eighths=16, val_fraction=_HALF)


def _with(rate: float) -> Arm:
    return Arm("resnet20", {"dropout": rate}, eighths=16, val_fraction=_HALF)


CLAIM = Claim(
    "dropout",
    "Dropout regularises: it narrows the gap between training and validation accuracy, and raises test accuracy.",
    "Srivastava 2014, JMLR 15; between the convolutions of a residual block, Zagoruyko 2016, arXiv 1605.07146",
    "ResNet-20 of twice the width, trained on half of the training images so that there is something to regularise; "
    "the other half is the validation set. Paired by seed: dropout has no weights, so both sides start from the "
    "same.",
    tuple(
        prediction
        for rate in (0.1, 0.3)
        for prediction in (
            Prediction(f"gap, dropout {rate}", GAP, _WITHOUT, _with(rate), paired=True),
            Prediction(f"accuracy, dropout {rate}", TEST_ACCURACY, _with(rate), _WITHOUT, paired=True),
        )
    ),
)
