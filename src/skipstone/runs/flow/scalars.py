"""A record as named numbers, for programs that draw curves."""

import math

from skipstone.runs.flow.record import FlowRecord
from skipstone.runs.flow.verdicts import decay_of

_LAYER = ("grad_norm", "weight_norm", "output_grad_norm", "output_rms", "lost_updates", "unmoved", "underflow")
_SKIP = ("ratio", "cosine", "variance_share", "dead", "grad_share")


def scalars_of(record: FlowRecord, prefix: str = "flow") -> dict[str, float]:
    """`flow/grad_norm/conv1` and the like: every number of a record that was measured and is finite.

    Besides, `flow/factor`, by which the gradient changes per layer going backwards, and `flow/ills`, how many of the
    verdicts are ills.
    """
    found: dict[str, float | None] = {}
    for layer in record.layers:
        found |= {f"{name}/{layer.name}": getattr(layer, name) for name in _LAYER}
        found[f"update_ratio/{layer.name}"] = layer.update_ratio
    for skip in record.skips:
        found |= {f"skip_{name}/{skip.index}_{skip.target}": getattr(skip, name) for name in _SKIP}
    fit = decay_of(record)
    found |= {"factor": fit.factor if fit else None, "loss": record.loss}
    found["ills"] = float(sum(verdict.is_ill for verdict in record.verdicts))
    return {f"{prefix}/{name}": value for name, value in found.items() if value is not None and math.isfinite(value)}
