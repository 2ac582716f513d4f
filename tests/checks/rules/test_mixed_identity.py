"""One identity before the norm, the next behind one: CCT's code, a note; both behind a norm are SK206's."""

from torch import nn

from networks import Attention, mlp
from skipstone.checks import check

TOKENS = (2, 10, 16)


class Cct(nn.Module):
    """The block of the Compact Convolutional Transformer; `fixed` takes the second identity before its norm too."""

    def __init__(self, fixed=False):
        super().__init__()
        self.a, self.m, self.fixed = Attention(), mlp(), fixed
        self.n1, self.n2 = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        x = x + self.a(self.n1(x))
        if self.fixed:
            return x + self.m(self.n2(x))
        x = self.n2(x)
        return x + self.m(x)


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.n, self.m = nn.LayerNorm(16), mlp()

    def forward(self, x):
        x = self.n(x)
        return x + self.m(x)


def test_a_published_block_is_a_note_once(notes):
    (note,) = notes(nn.Sequential(Cct(), Cct()), TOKENS)
    assert (note.rule, note.module) == ("mixed-identity", "0")
    assert check(Cct(), TOKENS, repairs=False, sizes=False).warnings == ()
    assert notes(Cct(fixed=True), TOKENS) == []


def test_what_is_a_warning_is_no_note_as_well(notes):
    model = nn.Sequential(Normed(), Normed())
    assert notes(model, TOKENS) == []
    assert [f.rule for f in check(model, TOKENS, repairs=False, sizes=False).warnings] == ["normed-identity"]


def test_text(notes, text, golden):
    golden("mixed-identity.txt", text(notes(Cct(), TOKENS)[0]))
