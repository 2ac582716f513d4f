"""What a network keeps besides its state dict, read and put back."""

import io

import torch
from torch import nn

from skipstone.training.state import Unkept, read_state, restore_state


def test_shared_objects_stay_shared_and_what_is_no_state_stays_as_built():
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.listed = [self.fc]
            self.one = self.other = {"a": [1, (2, 3)]}
            self.activation = torch.relu
            self.unregistered = [nn.BatchNorm1d(2)]

    old = Holder()
    old.one["a"].append(4)
    old.unregistered[0](torch.rand(4, 2))
    kept, unkept = read_state(old)
    assert unkept == Unkept()
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    buffer.seek(0)
    new = Holder()
    restore_state(new, torch.load(buffer, weights_only=True))
    assert new.one is new.other
    assert new.one == {"a": [1, (2, 3), 4]}
    assert new.listed[0] is new.fc
    assert new.activation is torch.relu
    assert torch.equal(new.unregistered[0].running_mean, old.unregistered[0].running_mean)
