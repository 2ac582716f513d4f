"""The learning rate of every step, as a pure function."""

import math

from skipstone.runs.records import Recipe


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """The rate of `step` (from 0) of `total` steps.

    No step has rate 0: the warm-up ends, and the fall begins, with the first step at the full rate, and the last step
    stands one step above zero.
    """
    warm = round(recipe.warmup * total)
    if step < warm:
        return recipe.lr * (step + 1) / (warm + 1)
    progress = (step - warm) / max(1, total - warm)  # in [0, 1)
    if recipe.schedule == "one-cycle":
        return recipe.lr * (1 - progress)
    if recipe.schedule == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * progress)) / 2
    if recipe.schedule == "step":
        return recipe.lr * (1.0 if 2 * step < total else 0.1 if 4 * step < 3 * total else 0.01)
    return recipe.lr
