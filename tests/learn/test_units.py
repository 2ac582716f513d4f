"""Every unit: its solution passes, its starter fails, right answers pass however written, wrong ones are told what."""

import importlib.util
import random

import pytest
import torch

import skipstone
from skipstone.learn.unit import NAMES, load, units
from skipstone.learn.units import silent_10, wire_2
from ways import WAYS

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
    if unit.name == "keras-5" and importlib.util.find_spec("keras") is None:
        pytest.skip("its picture is drawn from Keras' own layers")
    assert unit.drawn() == unit.picture().rstrip("\n")
    lines = unit.drawn().splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 130


def _module_of(text, path):
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What each template of the silent bugs was meant to be, as a change of its text, in order.
MEANT = (
    ("x.mean(1)", "x.mean(1, keepdim=True)"), ("inplace=True", "inplace=False"), ("relu_()", "relu()"),
    ("y + y", "x + y"),
    ("y + x\n        return y + x", "y + x\n        return y"), ("(y, y)", "(x, y)"), ("x + y + x", "x + y"),
    ("return self.a(x)", "return s + self.a(x)"), ("return y.relu()", "return (y + identity).relu()"),
    (".detach()", ""), ("0.0", "1.0"), ("dim=2", "dim=1"),
    ("mean(1)\n", "mean(1, keepdim=True)\n"), ("inplace=True", "inplace=False"), ("[y, y]", "[x, y]"),
    ("        self.b(y)", "        y = self.b(y)"), ("self.b(x).relu()", "self.b(y.relu())"), (".data", ""),
    ("y * 0", "y * 1"),
    ("y.mul_(0)", "y.mul_(1)"), ("dim=0", "dim=1"),
)  # fmt: skip


@pytest.mark.slow
def test_each_silent_bug_runs_is_found_at_its_line_and_computes_what_was_not_meant(tmp_path):
    assert len(silent_10._TEMPLATES) == len(MEANT) >= 16
    assert len(set(silent_10._TEMPLATES)) == len(MEANT)
    text, planted = silent_10._written(silent_10._TEMPLATES, 0, random.Random(0))
    wrong = _module_of(text, tmp_path / "wrong.py")
    for number, ((code, lines), (written, meant)) in enumerate(zip(planted, MEANT, strict=True)):
        head, mark, net = text.partition(f"class Net{number}(")
        net, end, _ = net.partition("\n\n\n")
        assert written in net, number
        right = _module_of(head + mark + net.replace(written, meant, 1) + end, tmp_path / f"right{number}.py")
        nets = [getattr(module, f"Net{number}")() for module in (wrong, right)]
        nets[1].load_state_dict(nets[0].state_dict())
        width = next(part.in_channels for part in nets[0].modules() if hasattr(part, "in_channels"))
        found = skipstone.check(nets[0], (2, width, 6, 6), repairs=False, sizes=False, run=False).findings
        assert any(f.code == code and f.line in lines for f in found), (number, code, sorted(lines))
        assert _numbers(nets[0], width) != _numbers(nets[1], width), number


def _numbers(net, width):
    """Output and gradients for a drawn input: what a run tells two networks of the same weights apart by."""
    x = torch.randn(2, width, 6, 6, generator=torch.Generator().manual_seed(0))
    y = net(x)
    (y**2).sum().backward()
    return y.shape, y.tolist(), [None if p.grad is None else p.grad.tolist() for p in net.parameters()]


IN_SHORT = (
    "slice add",
    "unfold mean",
    "matmul T",
    "glu",
    "hardtanh/max",
    "buffer",
)  # each once was refused for another reason


@pytest.mark.parametrize(
    ("unit", "name"), [way if way[1] in IN_SHORT else pytest.param(*way, marks=pytest.mark.slow) for way in WAYS]
)
def test_a_right_answer_passes_in_whatever_operations_it_is_written(unit, name, judge):
    verdict = judge(load(unit), WAYS[unit, name])
    assert verdict.passed, str(verdict)


def test_an_operation_that_can_not_be_run_again_is_told_with_what_to_write_instead(judge):
    unit = load("wire-2")
    for layers, returned, told in (
        ("", "return a3 + torch.fft.fft(a1).real.mean()", "with functions of torch.nn.functional"),
        (
            "        self.shift = torch.randn(64, 1, 1)\n",
            "return a3 + self.shift",
            "self.register_buffer(name",
        ),
    ):
        verdict = judge(unit, wire_2._with(layers, returned))
        assert "can't run it again" in verdict.message
        assert told in verdict.message


def test_what_is_right_is_said_beside_what_cannot_be_judged(judge):
    """A network that does not run takes nothing from the answers beside it."""
    verdict = judge(load("wire-2"), load("wire-2").wrong["channels alone"][0])
    assert [point.right for point in verdict.points] == [False, True, True, True, True]
