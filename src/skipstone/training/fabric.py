"""The device and the precision of a run, by lightning-fabric."""

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Precision
from skipstone.training.ranks import ALONE, Ranks

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_fabric(device: str, precision: Precision, ranks: Ranks = ALONE, *, unused: bool = False) -> Fabric:
    """One device by name (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) in one precision; of several `ranks` this one's.

    `unused` says that the network has parameters without a gradient, which its processes have to look for.

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
            precision=_PRECISIONS[precision],  # type: ignore[arg-type]
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise SkipstoneError(f"device {device!r} cannot be used: {error}") from error


def _shared(kind: str, precision: Precision, ranks: Ranks, unused: bool) -> Fabric:
    # Buffers are aligned once an epoch: a broadcast in every forward would hang where processes evaluate unequal parts.
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=unused)
    fabric = Fabric(
        accelerator=kind,
        devices=ranks.num_on_node,
        num_nodes=ranks.world // ranks.num_on_node,
        strategy=strategy,
        precision=_PRECISIONS[precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
