"""benchmarks/pairs: the task that is made of digits, what is told of a difference, and, slowly, the whole page."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skipstone.data.digits import load_digits
from skipstone.experiments.comparison import Comparison, Difference, Group
from skipstone.experiments.statistics import Interval, sample

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/pairs"


def load(name):
    spec = importlib.util.spec_from_file_location(f"pairs_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_canvases_are_digits_and_their_labels():
    train, test = load("canvas").make_data(4, 4)
    digits, unseen = load_digits()
    for canvases, source in ((train, digits), (test, unseen)):
        known = {tuple(pixels.flatten().tolist()) for pixels in source.pixels}
        for picture, labels in canvases:
            assert any(
                tuple(picture[0, y : y + 8, x : x + 8].flatten().tolist()) in known for y in range(3) for x in range(3)
            ) or bool((labels[:10, :10] == 10).all())
            assert (picture.shape, picture.dtype, labels.shape) == ((1, 20, 20), torch.uint8, (20, 20))
            assert torch.equal(labels != 10, picture[0] >= 4)  # ink has its digit's label, all else is ground
            for quarter in (labels[:10, :10], labels[:10, 10:], labels[10:, :10], labels[10:, 10:]):
                assert len(set(quarter.unique().tolist()) - {10}) <= 1
    again = load("canvas").make_data(4, 4)[0]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(train, again, strict=True))


def told(values, plain, estimate, low, high, p):
    """What the page says of a pair whose comparison has `values` as it is and `plain` without skips."""
    pairs = load("pairs")
    group = Group("n as-is", "n", "n", None, {}, 1, (0, 1), ("a", "b"), *[sample(values)] * 4, 0, pairs.WITH)
    other = replace(group, label="n plain", variant=pairs.WITHOUT, test_accuracy=sample(plain))
    better, worse = sorted((group, other), key=lambda g: -g.test_accuracy.mean)
    difference = Difference(better.label, worse.label, "variant", Interval(estimate, low, high, p), True, effect=1.5)
    comparison = Comparison("digits", 1, (group, other), (difference,), (), ())
    return pairs._told(pairs.Read(pairs.PAIRS[0], comparison, (group, other), ((), ()), (1, 1)), p)


def test_a_difference_is_told_as_with_less_without():
    assert told((0.9, 0.91), (0.5, 0.52), 0.4, 0.3, 0.5, 0.001) == (
        "| ResNet-20 | +40.0 points (+30.0 to +50.0) | 0.001 | 1.5 | the skips help |"
    )
    assert told((0.5, 0.52), (0.9, 0.91), 0.4, 0.3, 0.5, 0.001) == (
        "| ResNet-20 | -40.0 points (-50.0 to -30.0) | 0.001 | -1.5 | the skips harm |"
    )
    assert "no difference shown" in told((0.9, 0.91), (0.5, 0.52), 0.4, -0.1, 0.9, 0.2)
    assert "no difference shown" in told((0.9, 0.91), (0.5, 0.52), 0.4, 0.1, 0.7, 0.06)  # Holm's p decides too


@pytest.mark.slow
def test_the_page_is_written_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    pairs = load("pairs")
    monkeypatch.setattr(pairs, "SEEDS", 2)
    monkeypatch.setattr(pairs, "PAIRS", tuple(replace(pair, epochs=1) for pair in pairs.PAIRS))
    monkeypatch.setattr(sys, "argv", ["pairs.py", str(tmp_path / "out"), "--page", str(tmp_path / "page.md")])
    pairs.main()
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert all(page.count(f"| {pair.title} |") == 5 for pair in pairs.PAIRS)
    assert "n = 2" in page
