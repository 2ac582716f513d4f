"""The optimizer a recipe asks for."""

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or AdamW over the trainable parameters; weight decay on those of two or more axes, or on all if so asked.

    Biases and normalisation scales are left undecayed by default: pulling them to zero regularises nothing that a later
    normalisation does not undo. Papers before 2017 decay them too.

    Raises:
        SkipstoneError: the network has no trainable parameter.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise SkipstoneError(f"{type(model).__name__} has no trainable parameter: nothing to train")
    spared = recipe.weight_decay if recipe.decayed == "all" else 0.0
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": spared},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, foreach=True)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, foreach=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
