"""Rules in words: short, and equal to the set they describe."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipstone.sizes.rule import describe

RANGE = frozenset(range(1, 257))


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (lambda h: h % 16 == 0, "h % 16 == 0"),
        (lambda h: h % 2 == 1 and h >= 5, "odd h >= 5"),
        (lambda h: h % 2 == 0, "even h"),
        (lambda h: h in (3, 4), "3 and 4 only"),
        (lambda h: h == 224, "224 only"),
        (lambda h: h % 4 in (0, 3), "h % 4 in {0, 3}"),
        (lambda h: h % 3 != 1, "h % 3 != 1"),
        (lambda h: h >= 36 and ((h - 8) // 4 + 1) % 4 == 0, "h >= 36 and h % 16 in {4..7}"),
        (lambda h: h >= 29, "h >= 29"),
        (lambda h: h <= 9, "h <= 9"),
        (lambda h: 32 <= h < 40, "32 <= h <= 39"),
        (lambda h: True, "every h"),
        (lambda h: False, "none"),
        (lambda h: h >= 16 and h % 16 in (0, 1), "h >= 16 and h % 16 in {0, 1}"),
        (lambda h: h <= 4 or h >= 9, "h <= 4 or h >= 9"),
        (lambda h: h == 1 or (h >= 4 and h % 4 == 0), "1, or h % 4 == 0"),
        (lambda h: h <= 100 and h % 4 == 0, "h <= 100 and h % 4 == 0"),
    ],
)
def test_words(test, words):
    assert describe(frozenset(h for h in RANGE if test(h)), RANGE) == words


def test_no_rule_is_said_to_be_none():
    squares = frozenset(h * h for h in range(1, 17))
    assert describe(squares, RANGE).startswith("no short rule: 1, 4, 9, 16, 25, 36, ...")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 24), st.sets(st.integers(0, 23), min_size=1), st.integers(1, 60))
def test_rule_selects_exactly_the_set(period, residues, low):
    legal = frozenset(h for h in RANGE if h % period in residues and h >= low)
    words = describe(legal, RANGE)
    assert selected(words) in (legal, None)


def selected(words):
    """The set a rule's words select, read by a reader of their own; None for a kind this reader does not know."""
    text = re.sub(r"\{([^}]*)\}", lambda m: "[" + spelled(m[1]) + "]", words)
    text = re.sub(r"^(even|odd) h(.*)$", lambda m: f"h % 2 == {int(m[1] == 'odd')} and h{m[2] or ' > 0'}", text)
    text = re.sub(r"^every h.*$", "True", text).replace("none", "False")
    if only := re.fullmatch(r"([\d, and]+) only", text):
        text = f"h in {[int(n) for n in re.findall(r'[0-9]+', only[1])]}"
    if strays := re.match(r"([\d, and]+), or (.*)", text):
        numbers = [int(n) for n in re.findall(r"\d+", strays[1])]
        text = f"h in {numbers} or (h > {max(numbers)} and ({strays[2]}))"
    if "short" in text:
        return None
    return frozenset(h for h in RANGE if eval(text, {}, {"h": h}))


def spelled(pieces):
    numbers = []
    for piece in pieces.split(", "):
        first, _, last = piece.partition("..")
        numbers += range(int(first), int(last or first) + 1)
    return ", ".join(map(str, numbers))
