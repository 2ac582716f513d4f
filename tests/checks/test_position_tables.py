"""Position tables of another size: of tokens that were a map, the table is interpolated as a map."""

import pytest
import torch
from torch import nn

from skipstone.checks import check


class Tokens(nn.Module):
    """Patches of a map, `first` tokens before them, and a table for `side` x `side` patches, held in some way."""

    def __init__(self, way, first, side=4):
        super().__init__()
        count, self.way = first + side * side, way
        self.patch = nn.Conv2d(3, 6, 2, stride=2)
        self.front = nn.Parameter(torch.randn(1, first, 6))
        if way.startswith("lookup"):
            self.where = nn.Embedding(count, 6)
            self.register_buffer("ids", torch.arange(count)[None])
        elif way == "buffer":
            self.register_buffer("grid", torch.randn(1, count, 6))
        else:
            self.absolute = nn.Parameter(torch.randn(*(1,) * (way == "batched"), count, 6))

    def forward(self, x):
        x = torch.cat([self.front.expand(len(x), -1, -1), self.patch(x).flatten(2).transpose(1, 2)], 1)
        return x + self.table(x)

    def table(self, x):
        if self.way == "lookup":
            return self.where(self.ids)
        if self.way == "lookup of counted":
            return self.where(torch.arange(x.shape[1]))
        return self.grid if self.way == "buffer" else self.absolute


WAYS = ("batched", "plain", "buffer", "lookup", "lookup of counted")


def positions(model, shape):
    """The table as the mended network adds it: what comes out where the tokens are zero."""
    with torch.no_grad():
        model.patch.weight.zero_(), model.patch.bias.zero_(), model.front.zero_()
        return model(torch.zeros(shape))[0]


@pytest.mark.parametrize(("way", "first"), list(zip(WAYS, (0, 1, 3, 1, 3), strict=True)))
def test_the_table_is_interpolated_as_a_map(way, first):
    model, shape = Tokens(way, first), (2, 3, 10, 16)
    repair = check(model, shape, sizes=False).errors[0].repairs[0]
    mended = repair.apply(model)
    held = mended.where.weight if way.startswith("lookup") else mended.table(None)
    with torch.no_grad():
        held[..., 0] = torch.cat([torch.full((first,), -5.0), torch.arange(4.0).repeat(4)])  # the column
    given = positions(mended, shape)
    columns = given[first:, 0].reshape(5, 8)
    assert torch.allclose(columns, columns[:1].expand(5, 8), atol=1e-5)
    assert torch.all(columns[0].diff() >= 0)
    assert torch.equal(given[:first, 0], torch.full((first,), -5.0))


@pytest.mark.parametrize("way", ["plain", "lookup of counted"])
def test_at_its_own_size_nothing_changes_and_others_run(way):
    model = Tokens(way, 1)
    mended = check(model, (2, 3, 12, 12), sizes=False).errors[0].repairs[0].apply(model)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(mended(x), model(x))
    for size in (6, 14, 20):
        mended(torch.randn(2, 3, size, size)).sum().backward()


class Words(nn.Module):
    """No map: words in a row."""

    def __init__(self):
        super().__init__()
        self.embed, self.table = nn.Embedding(50, 6), nn.Parameter(torch.randn(1, 16, 6))

    def forward(self, ids):
        return self.embed(ids) + self.table


def test_words_are_no_map():
    titles = [r.title for r in check(Words(), torch.randint(50, (2, 36)), sizes=False).errors[0].repairs]
    assert titles
    assert not any("places" in title for title in titles)
