"""A checkpoint as bytes: network, optimizer, hidden state and epoch, checked before a byte of it is believed.

The file is the zip archive that `torch.save` writes, sealed by a SHA-256 of all of it that stands in the archive's
comment, where every reader of zip files, torch's too, passes it over. The archive's own checksums do not do: torch
reads past them, and a bit flipped in a header moves what it takes for a tensor.
"""

import io
import pickle
import zlib
from hashlib import sha256
from typing import Any

import torch
from torch import nn

from skipstone.core.codec import RecordError
from skipstone.training.state import Unkept, read_state, restore_state

_VERSION = 2
_MARK = b"sha256:"
_SEAL_BYTES = len(_MARK) + 64
_OTHERS = (
    zlib.error, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, pickle.UnpicklingError,
)  # fmt: skip
"""What torch's restricted unpickler and `load_state_dict` raise at the sound checkpoint of another network."""


class CheckpointError(RecordError):
    """Bytes that are no checkpoint of this network."""


def pack(model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> tuple[bytes, Unkept]:
    """(the checkpoint after `epoch`, what of the network's state it can't hold)."""
    hidden, unkept = read_state(model)
    buffer = io.BytesIO()
    torch.save(
        {
            "version": _VERSION,
            "epoch": epoch,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "hidden": hidden,
        },
        buffer,
    )
    seal(buffer)
    # Not its `getbuffer`: a view that a cycle of garbage holds beside its owner is complained of by Python 3.13.
    return buffer.getvalue(), unkept


def unpack(data: bytes, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put a checkpoint into a network and an optimizer built alike; its epoch.

    Raises:
        CheckpointError: the bytes are damaged, or another network's. The network may have changed in part then.
    """
    try:
        state = read_sealed(data)
        if state["version"] != _VERSION:
            raise CheckpointError(f"version {state['version']}; this skipstone reads version {_VERSION}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        restore_state(model, state["hidden"])
        return int(state["epoch"])
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own text advises to read the file without its safeguard, which is the last thing to do here.
        raise CheckpointError("it holds something other than tensors and plain values") from error
    except _OTHERS as error:
        raise CheckpointError(f"not a checkpoint of this network: {' '.join(str(error).split())}") from error


def read_sealed(data: bytes) -> dict[str, Any]:
    """What a sealed archive holds, on the CPU; `CheckpointError` where its seal is broken."""
    if data[-_SEAL_BYTES:] != _seal_of(memoryview(data)[:-_SEAL_BYTES]):
        raise CheckpointError(f"damaged: the checksum at its end does not fit its {len(data):,} bytes")
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state


def seal(archive: io.BytesIO) -> None:
    """Write the seal of a zip archive that has no comment behind it, as its comment."""
    with archive.getbuffer() as body:
        body[-2:] = _SEAL_BYTES.to_bytes(2, "little")  # the archive's last field is its comment's length
        comment = _seal_of(body)
    archive.seek(0, io.SEEK_END)
    archive.write(comment)


def _seal_of(body: memoryview) -> bytes:
    return _MARK + sha256(body).hexdigest().encode()
