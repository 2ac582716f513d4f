"""Trained weights into a network: from a run's folder, or from a file that holds a state dict."""

import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.models.importing import one_line
from skipstone.runs.folder import RunFolder
from skipstone.training.checkpoint import CheckpointError, read_sealed


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
            model.load_state_dict(_read(file, sealed=path.is_dir()))
        except OSError:
            raise
        except WeightsError as error:
            refused.append(f"{file} {error}")
        except Exception as error:  # noqa: BLE001 - whatever the network says of weights that are another's
            refused.append(f"{file} holds no weights for this network: {one_line(error)}")
        else:
            return
    raise SkipstoneError("; ".join(refused))


class WeightsError(SkipstoneError):
    """Bytes that are no weights, in words that follow the file's name."""


def _read(file: Path, *, sealed: bool) -> Mapping[str, torch.Tensor]:
    """The tensors of a file by name. Torch's own texts are kept back: they advise to read it without the safeguard."""
    data = file.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are none of torch's
            state = read_sealed(data) if sealed else torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except CheckpointError as error:
        raise WeightsError(str(error)) from error
    except pickle.UnpicklingError as error:
        raise WeightsError("is no file of weights alone; save a state_dict by torch.save") from error
    except Exception as error:
        raise WeightsError("is cut off, damaged, or was not written by torch.save of a state_dict") from error
    weights = state.get("model", state) if isinstance(state, Mapping) else state
    if not isinstance(weights, Mapping):
        raise WeightsError(f"holds a {type(weights).__name__}, and no weights by name; save a state_dict by torch.save")
    return weights
