"""Batch normalisation makes training stable (Ioffe 2015, arXiv 1502.03167)."""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import TEST_ACCURACY

_RATES = (0.02, 0.1, 0.5)


def _arm(model: str, rate: float, norm: str) -> Arm:
    """The default rate and norm are left unsaid, so that the runs are those of the other claims."""
    return Arm(model, ({} if norm == "batch" else {"norm": norm}) | ({} if rate == 0.1 else {"lr": rate}))


CLAIM = Claim(
    "batch-norm",
    "Batch normalisation stabilises training: without it higher learning rates fail.",
    "Ioffe 2015, arXiv 1502.03167",
    "Networks of 20 layers with batch norm against the same without any norm, at three peak learning rates. Both start "
    "from He's initialisation. A run whose loss becomes NaN counts with the accuracy that it has.",
    tuple(
        Prediction(f"{name}, rate {rate}", TEST_ACCURACY, _arm(model, rate, "batch"), _arm(model, rate, "none"))
        for model, name in (("plain20", "plain"), ("resnet20", "residual"))
        for rate in _RATES
    ),
)
