"""Files of weights: nothing in them is run, and what is wrong with one is a line that names it."""

import os
import pickle
import warnings

import pytest
import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.training.weights import load_weights


class Runs:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def written(value, path):
    torch.save(value, path)
    return path.read_bytes()


KINDS = {
    "a pickle": (lambda path: pickle.dumps(Runs(path.parent / "ran")), "is no file of weights alone"),
    "a pickle in torch's archive": (
        lambda path: written({"a": Runs(path.parent / "ran")}, path),
        "is no file of weights",
    ),
    "a whole network": (lambda path: written(nn.Linear(2, 3), path), "is no file of weights alone"),
    "half an archive": (lambda path: written(nn.Linear(2, 3).state_dict(), path)[:400], "is cut off, damaged"),
    "nothing": (lambda path: b"", "is cut off, damaged"),
    "a text": (lambda path: b"hello", "is cut off, damaged"),
    "zeros": (lambda path: bytes(4096), "is no file of weights alone"),
    "a list": (lambda path: written([1], path), "holds a list, and no weights by name"),
    "another network's": (lambda path: written(nn.Linear(4, 3).state_dict(), path), "size mismatch for weight"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_weights_is_told_and_never_run(tmp_path, kind):
    make, words = KINDS[kind]
    file = tmp_path / "w.pt"
    file.write_bytes(make(file))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SkipstoneError) as caught:
            load_weights(nn.Linear(2, 3), file)
    assert not (tmp_path / "ran").exists()
    said = str(caught.value)
    assert said.startswith(f"{file} ")
    assert words in said
    assert "\n" not in said
    assert "weights_only" not in said  # torch's advice is to turn it off


def test_what_is_read(tmp_path):
    given, model = nn.Linear(2, 3), nn.Linear(2, 3)
    torch.save(given.state_dict(), tmp_path / "w.pt")
    load_weights(model, tmp_path / "w.pt")
    assert torch.equal(model.weight, given.weight)
    with pytest.raises(FileNotFoundError):
        load_weights(model, tmp_path / "none.pt")
