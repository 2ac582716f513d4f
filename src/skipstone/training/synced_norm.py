"""Batch norm over the whole batch where each process has a part of it (as torch's SyncBatchNorm, on any device).

Statistics over the parts would be another network: each process's mean is noisier than the batch's. Mean first, then
the squares about it: two sums over the processes a layer, and none of the cancellation of E[x^2] - E[x]^2.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn


def sync_norms(model: nn.Module) -> None:
    """Let torch's own batch norms take their statistics over all processes, in place; subclasses are left alone."""
    for module in model.modules():
        if type(module) in _SYNCED:
            # The object stays, with its hooks and whoever else refers to it.
            module.__class__ = _SYNCED[type(module)]


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each one's loss depends on everybody's input, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        distributed.all_reduce(total)
        return total


class _Synced(nn.Module):
    """Goes before one of torch's batch norms among a class's bases."""

    running_mean: Any
    running_var: Any
    num_batches_tracked: Any
    weight: Any
    bias: Any
    eps: Any
    momentum: Any
    _check_input_dim: Any

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            plain: Tensor = super().forward(x)
            return plain
        self._check_input_dim(x)
        axes, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        x32 = x.float()
        own = torch.cat([x32.sum(axes), x32.new_tensor([x32.numel() / x.shape[1]])])
        sums = _sum(own)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x32 - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1).clamp(min=1)))
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        normalised: Tensor = y.to(x.dtype)
        return normalised

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if not self.training or self.running_mean is None or self.running_var is None:
            return
        with torch.no_grad():
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked or 1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _Synced1d(_Synced, nn.BatchNorm1d):
    pass


class _Synced2d(_Synced, nn.BatchNorm2d):
    pass


class _Synced3d(_Synced, nn.BatchNorm3d):
    pass


_SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synced1d,
    nn.BatchNorm2d: _Synced2d,
    nn.BatchNorm3d: _Synced3d,
}


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total
