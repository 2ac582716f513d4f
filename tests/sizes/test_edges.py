"""What passes at many sizes cannot see is seen at the edges: falsely legal sizes that were found, each a network."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone import check, legal_sizes


class Of(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def differences(x):
    places = torch.arange(x.shape[1])
    return places[:, None] - places[None]


def insists_on_a_number(m, x):
    if isinstance(x.shape[-1], int) and x.shape[-1] > 9:
        raise ValueError("too large")
    return x + 1


def unfolded(m, x):
    return x + m.conv(F.unfold(x, 2, stride=2).reshape(x.shape[0], 12, x.shape[2] // 2, -1))


TABLE, ROWS = nn.Parameter(torch.zeros(31)), nn.Embedding(31, 1)
SEQUENCE, IMAGE = (2, "h", 4), (2, 3, "h", "h")
# name: (network, shape, legal sizes of 1..40, those that run by an accidental broadcast)
CASES = {
    "table by difference": (
        Of(lambda m, x: x @ x.transpose(1, 2) + m.table[differences(x) + 15], table=TABLE), SEQUENCE,
        range(1, 17), (),
    ),
    "rows by difference": (
        Of(lambda m, x: x @ x.transpose(1, 2) + m.rows(differences(x) + 15)[..., 0], rows=ROWS), SEQUENCE,
        range(1, 17), (),
    ),
    "negative indices of brackets count from the end": (
        Of(lambda m, x: x @ x.transpose(1, 2) + m.table[differences(x)], table=TABLE), SEQUENCE, range(1, 32), (),
    ),
    "distances doubled": (
        Of(lambda m, x: x @ x.transpose(1, 2) + m.table[differences(x).abs() * 2], table=TABLE), SEQUENCE,
        range(1, 17), (),
    ),
    "clipped differences have no end": (
        Of(lambda m, x: x @ x.transpose(1, 2) + m.table[differences(x).clamp(-15, 15) + 15], table=TABLE), SEQUENCE,
        range(1, 41), (),
    ),
    "insists on a number": (Of(insists_on_a_number), IMAGE, range(1, 10), ()),
    "equal at 1, stretched at 2": (
        Of(lambda m, x: x + m.conv(x), conv=nn.Conv2d(3, 3, 3, stride=2, padding=1)), IMAGE, (1,), (2,),
    ),
    "stretched where sizes had to be fixed": (Of(unfolded, conv=nn.Conv2d(12, 3, 1)), IMAGE, (), (2, 3)),
}  # fmt: skip


SLOW = {"distances doubled", "clipped differences have no end"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES])
def test_legal_sizes(name):
    model, shape, legal, broadcast = CASES[name]
    report = legal_sizes(model, shape, h=range(1, 41))
    assert (set(report.legal), set(report.broadcast)) == (set(legal), set(broadcast))
    assert report.complete


def test_the_sizes_that_were_run_are_told():
    report = legal_sizes(nn.Conv2d(3, 3, 3), IMAGE, h=range(1, 41))
    assert report.axes[0].ran[:4] == (3, 4, 5, 6)
    assert 40 in report.axes[0].ran
    assert str(report) == str(legal_sizes(nn.Conv2d(3, 3, 3), IMAGE, h=range(1, 41)))


def refuses_beyond(limit):
    """Another precision beyond a size: only a real run sees it."""
    return Of(lambda m, x: m.fc(x.mean(1).double() if x.shape[1] > limit else x.mean(1)), fc=nn.Linear(4, 4))


def test_the_bound_is_found_that_only_runs_show():
    report = legal_sizes(refuses_beyond(77), SEQUENCE)
    assert report.rule == "h <= 77"


def test_what_follows_no_bound_and_was_not_run_is_not_known():
    model = Of(lambda m, x: m.fc(x.mean(1).double() if x.shape[1] % 2 else x.mean(1)), fc=nn.Linear(4, 4))
    report = legal_sizes(model, SEQUENCE, h=range(1, 4097), budget=0.05)
    assert all(size % 2 == 0 for size in report.legal)
    assert set(report.axes[0].ran) <= report.checked
    assert "not known" in str(report)
    assert "real runs refused some like them" in str(report)


def test_one_finding_for_positions_past_a_table():
    model = CASES["rows by difference"][0]
    (finding,) = check(model, (2, 20, 4)).findings
    assert finding.code == "SK106"
    assert "positions -4..34 run past it" in finding.message
