"""What tutorials say of skip connections, each statement tried: predictions first, runs, and a computed verdict.

One claim a file; `CLAIMS` lists them. Importing this package imports no torch.
"""

from collections.abc import Sequence

from skipstone.core.errors import UnknownNameError
from skipstone.experiments.claims import (
    batch_norm,
    compact,
    deep_plain,
    depth_or_width,
    dropout,
    feature_reuse,
    identity_gradient,
    projection,
    skips_train,
    tiny_update,
    wide_concatenation,
)
from skipstone.experiments.claims.claim import SETTINGS, Arm, Claim, Measure, Prediction, Setting
from skipstone.experiments.claims.records import Claims, kept_claims, read_claims
from skipstone.experiments.claims.trying import runs_of, try_claims
from skipstone.experiments.claims.verdict import Evidence, Verdict, judge

CLAIMS: tuple[Claim, ...] = (
    deep_plain.CLAIM,
    skips_train.CLAIM,
    depth_or_width.CLAIM,
    identity_gradient.CLAIM,
    tiny_update.CLAIM,
    batch_norm.CLAIM,
    dropout.CLAIM,
    projection.CLAIM,
    wide_concatenation.CLAIM,
    compact.CLAIM,
    feature_reuse.CLAIM,
)


def claims_named(names: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of these names, in the order of the table; all of them where none is given.

    Raises:
        UnknownNameError: there is no such claim; the nearest are named.
    """
    known = {claim.name: claim for claim in CLAIMS}
    for name in names:
        if name not in known:
            raise UnknownNameError("claim", name, known)
    return tuple(claim for claim in CLAIMS if not names or claim.name in names)


__all__ = [
    "CLAIMS", "SETTINGS", "Arm", "Claim", "Claims", "Evidence", "Measure", "Prediction", "Setting", "Verdict",
    "claims_named", "judge", "kept_claims", "read_claims", "runs_of", "try_claims",
]  # fmt: skip
