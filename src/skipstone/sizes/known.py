"""Operations whose result's size is known without asking torch: the frequent ones that it takes apart into many steps.

Each rule answers only where torch would surely accept the call, and returns None for every other, which torch then
judges itself. A pass at one size uses none of them, so that the two ways check each other.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor

from skipstone.sizes.vector import only_value
from skipstone.tracing.blame import pass_on
from skipstone.tracing.torch_internals import verify_batch_size

Rule = Callable[..., Tensor | None]


def _batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor | None:  # fmt: skip
    vectors = (running_mean, running_var, weight, bias)
    if input.dim() < 2 or not (training or (running_mean is not None and running_var is not None)):
        return None
    if training:
        if verify_batch_size is None:
            return None
        verify_batch_size(input.size())  # raises for one value a channel
    return torch.empty_like(input) if _all_of(vectors, (input.shape[1],), input.dtype) else None


def _layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor | None:  # fmt: skip
    wanted = tuple(normalized_shape)
    if not wanted or len(wanted) > input.dim() or not _same(input.shape[-len(wanted) :], wanted):
        return None
    return input.new_empty(input.shape) if _all_of((weight, bias), wanted, input.dtype) else None


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    if input.dim() < 1 or weight.dim() != 2 or not _same(input.shape[-1:], weight.shape[1:]):
        return None
    if not _all_of((bias,), weight.shape[:1], input.dtype) or weight.dtype != input.dtype:
        return None
    return input.new_empty((*input.shape[:-1], weight.shape[0]))


def _same_size(input: Tensor, *args: object, **kwargs: object) -> Tensor | None:
    if not isinstance(input, Tensor) or not input.dtype.is_floating_point or kwargs.get("inplace") or True in args:
        return None
    return torch.empty_like(input)


def _all_of(vectors: Sequence[Tensor | None], shape: Sequence[object], dtype: torch.dtype) -> bool:
    return all(v is None or (_same(v.shape, shape) and v.dtype == dtype) for v in vectors)


def _same(shape: Sequence[object], wanted: Sequence[object]) -> bool:
    """Equal, and one number at every point still under study: a size that varies is for torch to judge."""
    numbers = [only_value(size) for size in shape]
    return None not in numbers and numbers == [only_value(size) for size in wanted]


_RULES: Mapping[str, Rule] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "linear": _linear,
    **dict.fromkeys(("relu", "gelu", "silu", "sigmoid", "leaky_relu", "elu", "mish", "hardswish"), _same_size),
}


@cache
def with_rule(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its rule asked first if there is one."""
    rule = _RULES.get(getattr(function, "__name__", ""))
    if rule is None:
        return function

    @wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        try:
            result = rule(*args, **kwargs)
        except (TypeError, ValueError, AttributeError):  # arguments that no rule is made for
            result = None
        return pass_on(function, args, kwargs) if result is None else result

    return asked
