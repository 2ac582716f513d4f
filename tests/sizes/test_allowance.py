"""How far a search goes is told by the work there is, not by how busy the machine is."""

import time

import numpy as np
import pytest
from torch import nn

import skipstone
from skipstone.sizes.allowance import Allowance, seconds_of
from skipstone.sizes.explore import Exploration

SIZES = range(1, 2001)


class Pinned(nn.Module):
    """A pass for every size. `seconds`: how long each computes beside its operations; `waits`: or does nothing."""

    def __init__(self, seconds=0.0, waits=0.0):
        super().__init__()
        self.seconds, self.waits = seconds, waits

    def forward(self, x):
        begun = time.thread_time()
        while time.thread_time() - begun < self.seconds:
            pass
        time.sleep(self.waits)
        return x * len(range(x.shape[0]))


def checked(model, seconds):
    return skipstone.legal_sizes(model, ("n", 2), n=SIZES, seconds=seconds, run=False).checked


@pytest.mark.parametrize("slow", [Pinned(0.01), Pinned(waits=0.03)])
def test_a_report_is_the_same_where_all_takes_longer(slow):
    own = checked(Pinned(), 0.5)
    assert 0 < len(own) < len(SIZES)
    assert checked(slow, 0.5) == own


def test_passes_that_take_many_times_as_long_as_reckoned_end_the_search():
    reached = checked(Pinned(0.1), 0.2)
    assert 0 < len(reached) < len(checked(Pinned(), 0.2))


def test_a_part_spends_from_the_whole():
    whole = Allowance(4.0)
    part = whole.part(1 / 4)
    assert part.seconds == 1.0
    part.spend(1000)
    assert part.spent == whole.spent == seconds_of(1000)
    assert part.left == pytest.approx(1.0 - seconds_of(1000))
    assert not part.over
    part.spend(1000, points=512)
    assert part.over
    assert not whole.over
    assert whole.part(1 / 2).seconds == whole.left / 2


def test_where_the_size_has_no_part_in_the_refusal():
    found = Exploration.of(3)
    found.ends |= {("refused", 4)}
    assert not found.refused_alike, "nothing is known yet"
    found.known[:] = True
    assert found.refused_alike
    found.ends |= {("refused", 7)}
    assert not found.refused_alike, "some came further"
    found.ends -= {("refused", 7)}
    found.runs[np.array([1])] = True
    assert not found.refused_alike
