"""A checkpoint's bytes: what is damaged or would run code is refused."""

import gc
import io
import sys

import pytest
import torch
from torch import nn

from skipstone.training.checkpoint import CheckpointError, pack, seal, unpack


def small() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.rand(4, 3)).pow(2).sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_checkpoint_in_a_cycle_of_garbage_is_collected_in_silence(monkeypatch):
    """Python 3.13 complains of a buffer whose view is garbage beside it."""
    said: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: said.append(str(what.exc_value)))
    kept: list[object] = []
    kept += [kept, pack(*small(), 7)[0]]
    del kept
    gc.collect()
    assert said == []


def test_a_flipped_bit_anywhere_is_refused():
    model, optimizer = small()
    data = pack(model, optimizer, 7)[0]
    assert unpack(data, *small()) == 7
    for at in range(0, len(data), 31):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(CheckpointError, match=r"damaged: the checksum at its end does not fit its [0-9,]+ bytes"):
            unpack(bytes(damaged), *small())


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_checkpoint_cut_short_is_refused(keep):
    model, optimizer = small()
    with pytest.raises(CheckpointError):
        unpack(pack(model, optimizer, 7)[0][:keep], model, optimizer)


def test_a_checkpoint_that_would_run_code_is_refused_without_advice_to_trust_it():
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    buffer = io.BytesIO()
    torch.save({"version": 2, "model": Evil()}, buffer)
    seal(buffer)
    with pytest.raises(CheckpointError, match=r"^it holds something other than tensors and plain values$"):
        unpack(buffer.getvalue(), *small())
