"""A checkpoint as bytes: network, optimizer, hidden state and epoch, checked before a byte of it is believed.

The file is the zip archive that `torch.save` writes, in which every record carries its CRC-32. torch does not compare
them when it reads; we do, so that a flipped bit is a damaged checkpoint and no other network.
"""

import io
import pickle
import zipfile
import zlib

import torch
from torch import nn

from skipstone.core.codec import RecordError
from skipstone.training.state import read_state, restore_state

_VERSION = 2
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError,
    NotImplementedError, pickle.UnpicklingError,
)  # fmt: skip
"""What zipfile, torch's restricted unpickler and `load_state_dict` raise at bytes that are not what we wrote."""


class CheckpointError(RecordError):
    """Bytes that are no checkpoint of this network."""


def pack(model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> tuple[memoryview, tuple[str, ...]]:
    """(the checkpoint after `epoch`, what of the network's state it can't hold)."""
    hidden, unsaved = read_state(model)
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
    return buffer.getbuffer(), unsaved


def unpack(data: bytes | memoryview, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put a checkpoint into a network and an optimizer built alike; its epoch.

    Raises:
        CheckpointError: the bytes are damaged, or another network's. The network may have changed in part then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if (damaged := archive.testzip()) is not None:
                raise CheckpointError(f"damaged: the checksum of {damaged} does not fit its bytes")
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
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
    except _DAMAGED as error:
        raise CheckpointError(f"not a checkpoint of this network: {' '.join(str(error).split())}") from error
