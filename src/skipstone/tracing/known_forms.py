"""Operations whose result's form is known without asking torch, which takes them apart into as many as thirty steps.

Batch normalisation so takes a half to two thirds of a first record. Each rule answers only for plain inputs
(contiguous, of one floating dtype, on the CPU, all sizes numbers) that torch would surely accept, with what torch then
gives; for others it gives None, and torch answers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from skipstone.tracing.blame import pass_on
from skipstone.tracing.fakes import CPU
from skipstone.tracing.torch_internals import FakeTensor

Form = torch.Tensor | tuple[torch.Tensor, ...]


def answer(torchs: Callable[..., Any], func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a fake mode gives for an operation below autograd: by a rule, or else by `torchs`, torch's own way."""
    rule = _RULES.get(func)
    known = rule(*args) if rule is not None and not kwargs else None
    return pass_on(torchs, (func, types, args, kwargs)) if known is None else known


def _batch_norm(
    input: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, mean: torch.Tensor | None,
    variance: torch.Tensor | None, training: bool, momentum: float, eps: float,
) -> Form | None:  # fmt: skip
    """The output, and the statistics of the batch (C,) in training, none of them in evaluation."""
    vectors = [vector for vector in (weight, bias, mean, variance) if vector is not None]
    if not _is_plain(input) or input.dim() < 2 or not (training or (mean is not None and variance is not None)):
        return None
    if any(not _is_plain(v) or v.shape != input.shape[1:2] or v.dtype != input.dtype for v in vectors):
        return None
    if training and input.numel() <= input.shape[1]:
        return None  # one value a channel
    statistics = input.shape[1:2] if training else (0,)
    return _like(input, input.shape), _like(input, statistics), _like(input, statistics)


def _same(input: torch.Tensor) -> Form | None:
    return _like(input, input.shape) if _is_plain(input) else None


def _is_plain(tensor: object) -> bool:
    return (
        type(tensor) is FakeTensor
        and tensor.device == CPU
        and tensor.dtype in (torch.float32, torch.float64)
        and all(type(size) is int for size in tensor.shape)
        and tensor.is_contiguous()
        and tensor.constant is None
    )


def _like(input: Any, shape: Sequence[int]) -> torch.Tensor:
    return FakeTensor(input.fake_mode, torch.empty(tuple(shape), dtype=input.dtype, device="meta"), input.device)


_RULES: Mapping[Any, Callable[..., Form | None]] = {
    torch.ops.aten.native_batch_norm.default: _batch_norm,
    **dict.fromkeys((torch.ops.aten.relu.default, torch.ops.aten.sigmoid.default, torch.ops.aten.silu.default), _same),
}
