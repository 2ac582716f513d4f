"""The device and the precision of a run, by lightning-fabric."""

from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Precision

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_fabric(device: str, precision: Precision) -> Fabric:
    """One device by name (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) in one precision.

    Raises:
        SkipstoneError: no such device, or it is not there.
    """
    kind, _, index = device.partition(":")
    if index and not index.isdecimal():
        raise SkipstoneError(f"device is {device!r}, expected auto, cpu, cuda, cuda:1 or mps")
    if kind == "cpu" and index:
        raise SkipstoneError(f"device is {device!r}, and there is one cpu; write cpu")
    try:
        return Fabric(
            accelerator=kind,
            devices=[int(index)] if index else 1,
            precision=_PRECISIONS[precision],  # type: ignore[arg-type]
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise SkipstoneError(f"device {device!r} cannot be used: {error}") from error
