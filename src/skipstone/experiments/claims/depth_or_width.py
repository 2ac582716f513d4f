"""At equal parameters, is it depth or width that a network is better off with? (He 2015 against Zagoruyko 2016.)"""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.measures import GAP, TEST_ACCURACY

_EIGHTHS = {8: 17, 20: 9, 56: 5}
"""By depth, the width in eighths of the setting's with which 6n+2 layers have equally many weights: 9 w² (42n - 10)."""


def _arm(family: str, depth: int) -> Arm:
    return Arm(f"{family}{depth}", eighths=_EIGHTHS[depth])


CLAIM = Claim(
    "depth-or-width",
    "At equal parameters a deeper, narrower network is more accurate than a shallower, wider one, and overfits less.",
    "the opposite of Zagoruyko 2016, arXiv 1605.07146, which found width worth more from some depth on",
    "Networks of 20 and 56 layers against those of 8 layers with as many weights (within 3 %), residual and plain. The "
    "gap is training less validation accuracy.",
    tuple(
        prediction
        for family, name in (("resnet", "residual"), ("plain", "plain"))
        for deep in (20, 56)
        for prediction in (
            Prediction(f"accuracy, {name}, {deep} layers", TEST_ACCURACY, _arm(family, deep), _arm(family, 8)),
            Prediction(f"gap, {name}, {deep} layers", GAP, _arm(family, 8), _arm(family, deep)),
        )
    ),
)
