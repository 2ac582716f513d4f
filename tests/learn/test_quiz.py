"""The quiz: 25 questions, keys that vary with the seed's numbers, marked the same every time."""

import pytest
import torch

from skipstone import cli
from skipstone.learn import questions
from skipstone.learn import quiz as paper
from skipstone.learn.questions import quiz


def keys(questions):
    return "".join(paper.LETTERS[question.key] for question in questions)


@pytest.fixture(scope="module")
def first():
    return quiz(0)


def test_there_are_25_with_several_choices_each_told_apart(first):
    assert len(first) == 25
    for question in first:
        assert len(set(question.choices)) == len(question.choices) >= 2
        assert question.why
    assert sum(question.ran for question in first) == 23


def test_a_seed_gives_the_same_questions_and_another_one_others(first):
    state = torch.get_rng_state()
    assert quiz(0) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert quiz(1) != first


def test_known_keys(first):
    by_text = {question.text: question.choices[question.key] for question in (*first, *quiz(1), *quiz(2))}
    for text, said in by_text.items():
        if text.startswith("x + conv(x), kernel 2, stride 2, padding 2"):
            assert said == "3, 4"
        if text.startswith("A dense block: 24 channels in, 6 layers of growth 12"):
            assert said == "96"
        if text.startswith("model.eval()"):
            assert said.startswith("nn.Dropout leaves x alone")
        if text.startswith("30 ReLU layers"):
            assert said == "without skips"


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_curves_tell_which_has_skips_whichever_are_drawn(seed):
    plain, skipped = (questions._losses(seed, skip) for skip in (False, True))
    assert min(plain) > 0.9
    assert skipped[-1] < 0.75 < min(plain)
    assert skipped[-1] < skipped[0]


def test_all_right_and_one_wrong(first, capsys):
    letters = keys(first)
    assert cli.run(["learn", "quiz", "--answers", letters]) == 0
    assert "25 of 25 right" in capsys.readouterr().out
    other = "b" if letters[0] == "a" else "a"
    assert cli.run(["learn", "quiz", "--answers", other + letters[1:]]) == 1
    shown = capsys.readouterr().out
    assert "24 of 25 right" in shown
    assert f"1. {other}, not right; it is {letters[0]}" in shown
    assert cli.run(["learn", "quiz", "--answers", "abc"]) == 2
    assert "expected 25 letters" in capsys.readouterr().err


def test_it_is_asked_one_by_one_and_may_be_left(first):
    said, given = [], iter([*keys(first)[:3], ""])
    assert paper.asked(first, lambda prompt: next(given), said.append) == 3
    assert len(said) == 7


def test_a_slip_of_the_finger_is_asked_again(first):
    said, given = [], iter(["x", "ab", keys(first)[0].upper(), ""])
    assert paper.asked(first, lambda prompt: next(given), said.append) == 1
    assert said[1] == "'x' is none of a, b, c, d; press Enter alone to end the quiz"
