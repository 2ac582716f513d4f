"""Every unit: its solution passes, its starter fails, right answers pass however written, wrong ones are told what."""

import importlib.util

import pytest

import skipstone
from skipstone.learn.unit import NAMES, load, units

RIGHT = [(unit.name, name) for unit in units() for name in unit.right]
WRONG = [(unit.name, name) for unit in units() for name in unit.wrong]
IN_BRIEF = "shapes-1"  # the unit whose answers are all judged by default


def _marked(pairs):
    return [pair if pair[0] == IN_BRIEF else pytest.param(*pair, marks=pytest.mark.slow) for pair in pairs]


BY_DEFAULT = ("shapes-1", "wire-2", "concat-6", "silent-10")  # the others take seconds of measuring


@pytest.mark.parametrize("name", [n if n in BY_DEFAULT else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_the_solution_passes_and_the_starter_does_not(name, judge):
    unit = load(name)
    solved = judge(unit, unit.solution)
    assert solved.passed, str(solved)
    begun = judge(unit, unit.starter)
    assert not begun.passed
    assert all(point.line for point in begun.points if not point.right), str(begun)


@pytest.mark.parametrize(("unit", "name"), _marked(RIGHT))
def test_a_right_answer_passes_however_it_is_written(unit, name, judge):
    verdict = judge(load(unit), load(unit).right[name])
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize(("unit", "name"), _marked(WRONG))
def test_a_wrong_answer_is_told_what_is_wrong(unit, name, judge):
    source, message = load(unit).wrong[name]
    verdict = judge(load(unit), source)
    assert not verdict.passed
    assert message in " ".join(str(verdict).split()), str(verdict)


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_there_are_enough_answers_and_each_mistake_has_its_own_message(unit):
    assert len(unit.right) >= 4
    assert len({message for _, message in unit.wrong.values()}) >= 6
    assert len({unit.solution, unit.starter, *unit.right.values()}) == len(unit.right) + 2
    assert unit.hints
    assert len(unit.lesson.splitlines()) <= 30  # with its picture, a screen


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_every_lesson_has_a_picture_that_fits_a_terminal(unit):
    """`python -m skipstone.learn.pictures src/skipstone/learn/units` makes them anew."""
    assert unit.drawn() == unit.picture().rstrip("\n")
    lines = unit.drawn().splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 130


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_ten_silent_bugs_are_those_that_the_checker_finds_at_those_lines(tmp_path, seed):
    from skipstone.learn.units import silent_10

    path = tmp_path / f"drawn_{seed}.py"
    path.write_text(silent_10.start(seed))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for number, (code, lines) in enumerate(silent_10.planted(seed)):
        net = getattr(module, f"Net{number}")()
        width = next(part.in_channels for part in net.modules() if hasattr(part, "in_channels"))
        report = skipstone.check(net, (2, width, 6, 6), repairs=False, sizes=False, run=False)
        assert any(f.code == code and f.line in lines for f in report.findings), (
            f"Net{number}: {code} at {sorted(lines)}"
        )
