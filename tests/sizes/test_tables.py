"""Sequence and batch axes, several axes, several inputs, positions past a table."""

import pytest
import torch
from torch import nn

import skipstone
from skipstone.core.errors import SkipstoneError
from skipstone.sizes import parse_pattern_text, summaries


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(50, 8), nn.Embedding(24, 8)

    def forward(self, x):
        return self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))[None]


class Two(nn.Module):
    def forward(self, a, b):
        return a + nn.functional.interpolate(b, scale_factor=2)


class Columns(nn.Module):
    """Legal where the height is even and the width a multiple of 3, whatever the other."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, 2, h // 2, w), x.reshape(n, c, h, 3, w // 3)


def test_positions_past_a_table_are_refused():
    report = skipstone.legal_sizes(Language(), ("n", "t", torch.int64), n=range(1, 5), t=range(1, 41))
    assert report["t"].legal == set(range(1, 25))
    assert report["t"].rule == "t <= 24"
    assert report["n"].rule == "every n"
    assert report.independent
    assert "IndexError: positions run past the table of places.weight" in str(report)


def test_a_mere_shape_stands_for_whole_numbers_where_they_are_looked_up():
    assert skipstone.legal_sizes(Language(), (2, "t"), t=range(1, 41)).rule == "t <= 24"


def test_real_lookup_agrees():
    model = Language()
    model(torch.zeros(1, 24, dtype=torch.int64))
    with pytest.raises(IndexError):
        model(torch.zeros(1, 25, dtype=torch.int64))


def test_several_inputs_share_a_letter():
    report = skipstone.legal_sizes(Two(), ((1, 2, "h", 8), (1, 2, "k", 4)), h=range(1, 17), k=range(1, 9))
    assert report.legal == {point for point in report.checked if point[0] == 2 * point[1]}
    assert report.independent is False
    assert "depend on each other" in str(report)


def test_axes_on_their_own_and_jointly():
    report = skipstone.legal_sizes(Columns(), (2, 3, "h", "w"), h=range(1, 65), w=range(1, 65))
    assert [axis.rule for axis in report.axes] == ["even h", "w % 3 == 0"]
    assert report.independent
    assert report["h"].nearest(31) == (30, 32)
    assert report["h"].others.keys() == {"w"}


def test_keyword_arguments_and_default_range():
    report = skipstone.legal_sizes(nn.Linear(4, 2), {"input": ("n", 4)})
    assert report.legal == set(range(1, 513))
    assert report.rule == "every n"


def test_json_and_print():
    report = skipstone.legal_sizes(nn.Conv2d(3, 4, 5), (2, 3, "h", "h"), h=range(1, 9))
    assert report.to_dict()["axes"][0]["legal"] == [5, 6, 7, 8]
    assert str(report).splitlines()[:2] == ["input       (2, 3, h, h)", "legal       h >= 5  (4 of 1..8)"]
    assert "really run  at h = 5..8" in str(report)
    with pytest.raises(KeyError, match="no free axis 'w'; free: h"):
        report["w"]


def test_time_limit_says_what_is_not_known():
    class Pinned(nn.Module):
        def forward(self, x):
            return x * len(range(x.shape[0]))

    report = skipstone.legal_sizes(Pinned(), ("n", 2), n=range(1, 2001), seconds=0.05)
    assert 0 < len(report.checked) < 2000
    assert not report.complete
    assert "not known" in str(report)
    assert report.legal == report.checked


@pytest.mark.parametrize(
    ("inputs", "ranges", "text"),
    [
        ((2, 3, 8, 8), {}, "has no free axis; write a letter"),
        ((2, 3, "h", 8), {"w": range(3)}, "a range is given for w, but the free axes are h"),
        ((2, 3, "h", 8), {"h": range(0)}, "the range of h is empty"),
        ((2, 3, "h", 8), {"h": range(-2, 3)}, "the range of h holds -2"),
        ((2, 3, "h", 8), {"h": "big"}, "the range of h is 'big'"),
        ((2, 3, "h h", 8), {}, "free axis 'h h' is no name"),
        (object(), {}, "is not understood; give a shape with letters"),
    ],
)
def test_wrong_questions(inputs, ranges, text):
    with pytest.raises(SkipstoneError, match=text):
        skipstone.legal_sizes(nn.Identity(), inputs, **ranges)


def test_pattern_text():
    assert parse_pattern_text("3xHxW") == (2, 3, "h", "w")
    assert parse_pattern_text("N,3,H,H") == ("n", 3, "h", "h")
    assert parse_pattern_text("2,T:int64") == (2, "t", torch.int64)
    for wrong in ("3x", "2,3x8", "2,T:int65"):
        with pytest.raises(SkipstoneError):
            parse_pattern_text(wrong)


def test_model_is_untouched():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    state = torch.get_rng_state()
    skipstone.legal_sizes(model, (2, 3, "h", "h"), h=range(1, 33))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert model.training


def test_summaries_of_a_square_input():
    class Pooled(nn.Module):
        def forward(self, x):
            return x + nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2)

    (summary,) = summaries(Pooled(), (2, 3, 15, 15))
    assert (summary.axis, summary.asked, summary.rule, summary.nearest) == ("h", 15, "even h", (14, 16))
    assert summary.method == "checked 1..1024"


def test_summaries_leave_out_axes_that_do_not_matter():
    assert summaries(nn.Conv2d(3, 4, 1), (2, 3, 8, 8)) == ()
    (only,) = summaries(Columns(), (2, 3, 8, 9))[1:]
    assert (only.axis, only.rule) == ("w", "w % 3 == 0")
