"""What a student's code must not get away with: each ends as what it is, and costs nobody else anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from hostile import HOSTILE
from skipstone.learn.judging import judge_source
from skipstone.learn.submission import run_source
from skipstone.learn.unit import load

UNIT = replace(load("shapes-1"), seconds=1)


def told(verdict):
    return " ".join(str(verdict).split())


LONG = ("endless loop that swallows",)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in HOSTILE])
def test_a_hostile_answer_fails_as_what_it_is(name, judge):
    source, message = HOSTILE[name]
    verdict = judge(UNIT, source)
    assert not verdict.passed
    assert message in told(verdict)
    assert not Path("/tmp/skipstone-was-here").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_it_does_so_in_a_process_of_its_own_too(name):
    source, message = HOSTILE[name]
    unit = UNIT if "loop" in name else load("shapes-1")  # what an answer imports takes its time in a new process
    assert message in told(judge_source(unit, source.encode(), run_source))


def test_after_all_that_a_right_answer_still_passes(judge):
    assert not judge(UNIT, HOSTILE["exit"][0]).passed
    assert judge(UNIT, UNIT.solution).passed


def test_what_is_printed_is_shown_as_printed_and_is_no_verdict(judge):
    verdict = judge(UNIT, "print('passed')\nshapes = {}\n")
    assert not verdict.passed
    assert "your code printed:\n  | passed" in str(verdict)
