"""The network inside what a training loop wraps around it, and the optimizer likewise."""

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.tracing.torch_internals import compiled_from, is_compiled, is_sharded

_COMPILED = "gradients at outputs: the network is compiled; hand the uncompiled one to watch before compiling it"


def unwrapped(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """(the network itself, why its outputs cannot be watched, if so): out of `torch.compile` and of DDP."""
    bare, notes = model, tuple[str, ...]()
    while True:
        inner = compiled_from(bare)
        if inner is None and isinstance(bare, nn.parallel.DistributedDataParallel | nn.DataParallel):
            inner = bare.module
        elif inner is not None:
            notes = (_COMPILED,)
        if inner is None:
            break
        bare = inner
    if any(is_compiled(module) for module in bare.modules()):
        notes = (_COMPILED,)
    return bare, notes


def unwrapped_optimizer(optimizer: object) -> torch.optim.Optimizer:
    """The optimizer that really steps, inside those that Fabric, Accelerate or Lightning put around it.

    Raises:
        SkipstoneError: it is none.
    """
    found = optimizer
    while isinstance(inner := getattr(found, "optimizer", getattr(found, "_optimizer", None)), torch.optim.Optimizer):
        found = inner
    if not isinstance(found, torch.optim.Optimizer):
        raise SkipstoneError(f"optimizer is a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
    return found


def demand_whole(model: nn.Module) -> None:
    """Every parameter is one this process has whole.

    Raises:
        SkipstoneError: some are sharded, as FSDP does.
    """
    for name, parameter in model.named_parameters():
        if is_sharded(parameter):
            raise SkipstoneError(
                f"{name} is sharded ({type(parameter).__name__}): no rank holds a whole layer, so norms and updates "
                "cannot be read here; watch one unsharded step, or gradient_flow() before fully_shard()"
            )
