"""Long chain: 31 layers in a row are told, 30 are not, and a skip connection between breaks the chain."""

from torch import nn

from networks import Residual, conv, convs

MAP = (2, 16, 16, 16)


def plain(depth):
    return nn.Sequential(*(conv(16, 16) for _ in range(depth)))


def test_more_than_thirty(notes):
    assert [note.rule for note in notes(plain(31), MAP)] == ["long-chain"]
    assert notes(plain(30), MAP) == []


def test_a_skip_breaks_the_chain(notes):
    assert notes(nn.Sequential(plain(20), Residual(nn.Sequential(*convs())), plain(20)), MAP) == []


def test_text(notes, text, golden):
    golden("long-chain.txt", text(notes(plain(31), MAP)[0]))
