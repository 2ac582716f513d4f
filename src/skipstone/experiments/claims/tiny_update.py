"""A gradient of 1e-15 at a learning rate of 1e-4 changes nothing: true of which number formats and optimizers?"""

from skipstone.experiments.claims.claim import Arm, Claim, Prediction
from skipstone.experiments.claims.looking import OPTIMIZERS, moved

_FORMATS = ("float64", "float32", "float16", "bfloat16")

CLAIM = Claim(
    "tiny-update",
    "A gradient of 1e-15 times a learning rate of 1e-4 changes no weight: the layer does not learn.",
    "arithmetic; skipstone learn gradient-8",
    "Counted: every weight of ResNet-20's convolutions and linear layer is given a gradient of 1e-15 and one step is "
    "taken. The condition holds where fewer than one weight moves, at every seed; one that becomes NaN has moved.",
    tuple(
        Prediction(f"{form}, {optimizer}", moved(form, optimizer), 1.0, Arm("resnet20"))
        for form in _FORMATS
        for optimizer in OPTIMIZERS
    ),
)
