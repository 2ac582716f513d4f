"""Networks that name a GPU in their code, recorded on a machine without one: everything stays where it is."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

_ELSEWHERE = ("cuda", "mps", "xpu", "hpu")


def at_home(
    name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]] | None:
    """The call without its move to a device this machine lacks, None where it names no such device."""
    if name in _ELSEWHERE and args and not _is_here(name):
        return torch.Tensor.to, (args[0], args[0].device), {}
    if name == "to" and len(args) > 1 and _is_missing(args[1]):
        return func, (args[0], args[0].device, *args[2:]), kwargs
    if _is_missing(kwargs.get("device")):
        home = args[0].device if args and isinstance(args[0], torch.Tensor) else torch.device("cpu")
        return func, args, {**kwargs, "device": home}
    return None


def _is_missing(device: object) -> bool:
    if not isinstance(device, str | torch.device):
        return False
    kind = str(device).partition(":")[0]
    return kind in _ELSEWHERE and not _is_here(kind)


def _is_here(kind: str) -> bool:
    backend = getattr(torch, kind, None)
    return bool(backend is not None and backend.is_available())
