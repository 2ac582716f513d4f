"""Trained weights into a network: from a run's folder, or from a file that holds a state dict."""

import pickle
from pathlib import Path

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.models.importing import one_line
from skipstone.runs.folder import RunFolder
from skipstone.training.checkpoint import read_sealed


def load_weights(model: nn.Module, path: Path) -> None:
    """Put trained weights into `model`: a run folder's newest sound checkpoint, or a file with a state dict.

    Raises:
        SkipstoneError: there are none for this network. No code in the file is ever run.
    """
    files = RunFolder(path).checkpoints() if path.is_dir() else [path]
    if not files:
        raise SkipstoneError(f"{path} holds no checkpoint: the run has not finished an epoch")
    refused = []
    for file in files:
        try:
            model.load_state_dict(_state(file, sealed=path.is_dir()))
        except pickle.UnpicklingError:
            # torch's own text advises to read the file without its safeguard, which is the last thing to do here.
            refused.append(f"{file} is no file of weights alone; save a state_dict by torch.save")
        except Exception as error:  # noqa: BLE001 - whatever torch's reader meets in a file that is none
            refused.append(f"{file} holds no weights for this network: {one_line(error)}")
        else:
            return
    raise SkipstoneError("; ".join(refused))


def _state(file: Path, *, sealed: bool) -> dict[str, torch.Tensor]:
    state = read_sealed(file.read_bytes()) if sealed else torch.load(file, map_location="cpu", weights_only=True)
    weights: dict[str, torch.Tensor] = state.get("model", state)
    return weights
