"""OwnError"""

import pytest
import torch
from torch import nn

from contract import ErrorContract
from skipstone.checks import check
from skipstone.core.errors import SkipstoneError


class Sized(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        if x.shape[-1] != self.size:
            raise ValueError(f"expected images of {self.size} pixels, got {x.shape[-1]}")
        return x


class TestOwnError(ErrorContract):
    rule = "own-error"
    shape = (2, 3, 9, 9)
    mends = False

    def broken(self):
        return Sized(8)

    def right(self):
        return Sized(9)


class Mistaken(nn.Module):
    """A residual block whose forward is given by name, each with another ordinary mistake."""

    def __init__(self, way):
        super().__init__()
        self.norm1, self.rows, self.way = nn.LayerNorm(8), nn.ModuleList([nn.Linear(8, 8)]), way
        self.attn, self.lstm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LSTM(8, 8, batch_first=True)
        self.steps, self.act, self.short = [nn.Linear(8, 8)], nn.ReLU, None
        self.row = nn.Sequential(nn.Linear(8, 8), None)
        self.misspelt = Misspelt()

    def forward(self, x):
        return x + getattr(self, self.way)(x)

    def attribute(self, x):
        return self.norm(x)

    def listed(self, x):
        return self.rows(x)

    def plain_list(self, x):
        return self.steps(x)

    def none_in_row(self, x):
        return self.row(x)

    def none_called(self, x):
        return self.short(x)

    def attention(self, x):
        return self.attn(x, x, x)

    def recurrent(self, x):
        return self.row[0](self.lstm(x))

    def class_called(self, x):
        return self.act(x)

    def no_self(self, x):
        return norm1(x)  # noqa: F821

    def too_many(self, x):
        return self.rows[0](x, x)

    def wrong_name(self, x):
        return self.misspelt(x)


class Misspelt(nn.Module):
    def foward(self, x):
        return x


class NoSelf(nn.Module):
    def forward(x):  # noqa: N805
        return x


@pytest.mark.parametrize(
    ("way", "module", "words"),
    [
        ("attribute", "", "there is `self.norm1`"),
        ("listed", "rows", "ModuleList holds layers and cannot be called"),
        ("plain_list", "", "a list of layers cannot be called"),
        ("none_in_row", "row", "layer 1 of the Sequential is None"),
        ("none_called", "", "`self.short` is None"),
        ("attention", "", "nn.MultiheadAttention attn returns (output, weights): take `[0]`"),
        ("recurrent", "row.0", "nn.LSTM lstm returns (output, state): take `[0]`"),
        ("class_called", "", "`self.act` is a class, not a layer: ReLU()"),
        ("no_self", "", "there is `self.norm1`"),
        ("too_many", "rows.0", "it takes Linear(input: torch.Tensor)"),
        ("wrong_name", "misspelt", "`foward` is misspelt: `forward`"),
    ],
)
def test_ordinary_mistakes_say_what_to_do(way, module, words):
    model = Mistaken(way)
    with pytest.raises((TypeError, AttributeError, NameError, NotImplementedError)):
        model(torch.zeros(2, 5, 8))
    (finding,) = check(model, (2, 5, 8), repairs=False, sizes=False).errors
    assert (finding.rule, finding.module) == ("own-error", module)
    assert words in "".join(finding.notes)
    assert finding.place is not None


def test_a_forward_without_self():
    (finding,) = check(NoSelf(), (2, 8)).errors
    assert finding.notes == ("forward has no `self`: write `def forward(self, x)`",)
    assert finding.line is not None


def test_none_in_a_row_of_layers_is_mended():
    model = Mistaken("none_in_row")
    repaired = check(model, (2, 5, 8)).errors[0].repairs[0].apply(model)
    assert repaired(torch.zeros(2, 5, 8)).shape == (2, 5, 8)
    assert model.row[1] is None


def test_torchs_own_init_left_out():
    class Bare(nn.Module):
        def __init__(self):
            pass

        def forward(self, x):
            return x

    with pytest.raises(SkipstoneError, match=r"Bare.__init__ does not call super\(\)"):
        check(Bare(), (2, 8))
