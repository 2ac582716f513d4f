"""The identity carries the gradient back unchanged, so that it neither vanishes nor explodes (He 2016, section 2)."""

from collections.abc import Mapping

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.looking import GRADIENT_DECADES

_FORMS: Mapping[str, Mapping[str, str]] = {
    "batch norm": {},
    "no norm, torch's initialisation": {"norm": "none", "init": "torch"},
    "no norm, He's initialisation": {"norm": "none"},
}

CLAIM = Claim(
    "identity-gradient",
    "The identity keeps the gradient: with skips it reaches the first layer, without them it vanishes on the way.",
    "He 2016, arXiv 1603.05027, section 2",
    "Untrained networks, the first batch of training images: how many decades lie between the norms of the gradient in "
    "the weights of the first and the last convolution, in either direction; fewer are better kept.",
    tuple(
        Prediction(f"{name}, {depth} layers", GRADIENT_DECADES, Arm(f"plain{depth}", form), Arm(f"resnet{depth}", form))
        for name, form in _FORMS.items()
        for depth in (20, 56)
    ),
)
