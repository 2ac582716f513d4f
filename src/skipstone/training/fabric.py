"""The device and the precision of a run, by lightning-fabric."""

from functools import cache
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Precision
from skipstone.training.ranks import ALONE, Ranks

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
_CPU_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""The kernel's words for processors that multiply in bf16: the last is Arm's. Others emulate it, slower than fp32."""


def make_fabric(device: str, precision: Precision, ranks: Ranks = ALONE, *, unused: bool = False) -> Fabric:
    """One device by name (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) in one precision; of several `ranks` this one's.

    Precision "auto" is what `precision_on` says. `unused` says that the network has parameters without a gradient,
    which its processes have to look for.

    Raises:
        SkipstoneError: no such device, or it is not there.
    """
    kind, _, index = device.partition(":")
    if index and not index.isdecimal():
        raise SkipstoneError(f"device is {device!r}, expected auto, cpu, cuda, cuda:1 or mps")
    if kind == "cpu" and index:
        raise SkipstoneError(f"device is {device!r}, and there is one cpu; write cpu")
    try:
        if ranks.world > 1:
            return _shared(kind, precision, ranks, unused)
        return Fabric(
            accelerator=kind,
            devices=[int(index)] if index else 1,
            precision=_PRECISIONS[precision_on(kind, precision)],  # type: ignore[arg-type]
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise SkipstoneError(f"device {device!r} cannot be used: {error}") from error


def precision_on(kind: str, precision: Precision) -> Literal["fp32", "bf16"]:
    """What `precision` comes to on a kind of device (`cpu`, `cuda`, `mps`, `auto`): "auto" is bf16 where the device
    computes in it."""
    if precision != "auto":
        return precision
    if kind in ("cuda", "auto") and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if kind != "mps" and _cpu_has_bf16() else "fp32"


@cache
def _cpu_has_bf16() -> bool:
    """Does the processor multiply in bf16? Only Linux is asked; elsewhere fp32 is never wrong."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not _CPU_BF16.isdisjoint(words)


def _shared(kind: str, precision: Precision, ranks: Ranks, unused: bool) -> Fabric:
    # Buffers are aligned once an epoch: a broadcast in every forward would hang where processes evaluate unequal parts.
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=unused)
    fabric = Fabric(
        accelerator=kind,
        devices=ranks.num_on_node,
        num_nodes=ranks.world // ranks.num_on_node,
        strategy=strategy,
        precision=_PRECISIONS[precision_on(kind, precision)],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
