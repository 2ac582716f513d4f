"""Comments, baselines, selections, pages, assertions: how the checker behaves towards those who use it."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import skipstone
from skipstone.checks import BY_CODE, CODES, check
from skipstone.checks import baseline as baselines
from skipstone.checks.codes import MODULES
from skipstone.checks.pages import find_code, page, pages
from skipstone.core.codec import RecordError
from skipstone.core.errors import UnknownNameError

HEADINGS = ("What it finds:", "Why it matters:", "Example:", "Repair:", "Effect of the repair:", "References:")


class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return self.a(x) + x


class Silenced(Faulty):
    def forward(self, x):
        return self.a(x) + x  # skipstone: ignore[SK101]


class OtherCode(Faulty):
    def forward(self, x):
        return self.a(x) + x  # skipstone: ignore[SK102]


SHAPE = (2, 3, 8, 8)


def test_codes_are_unique_and_in_order():
    codes = [rule.code for rule in CODES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in CODES}) == len(codes)


def test_every_rule_has_a_file_a_test_a_golden_text_and_a_page():
    """The folder, the table, the tests, the golden texts and the pages tell of the same rules."""
    here = Path(__file__).parent
    checks = Path(skipstone.checks.__file__).parent
    files = {f"{Path(module.__file__).parent.name}/{Path(module.__file__).stem}" for module in MODULES}
    kinds = {file.partition("/")[0] for file in files}
    held = {f"{kind}/{file.stem}" for kind in kinds for file in (checks / kind).glob("[a-z]*.py")}
    tests = {f"{kind}/{file.stem.removeprefix('test_')}" for kind in kinds for file in (here / kind).glob("test_*.py")}
    assert {file.partition("/")[2].replace("_", "-") for file in files} == {rule.name for rule in CODES}
    assert held == files
    assert files - tests == set()
    assert {file.stem for file in (here / "golden").glob("*.txt")} == {rule.name for rule in CODES}
    assert {file.stem for file in (here.parents[1] / "docs" / "findings").glob("SK*.md")} == set(BY_CODE)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
def test_every_rule_has_a_page(code):
    text = page(code)
    assert text.startswith(f"{code.code} {code.name}")
    assert [heading for heading in HEADINGS if heading not in text] == []


def test_a_code_is_found_by_any_of_its_names():
    assert find_code("sk102") is find_code("spatial-mismatch") is find_code("spatial_mismatch") is BY_CODE["SK102"]
    with pytest.raises(UnknownNameError, match="unknown code 'SK999'"):
        find_code("SK999")


def test_a_comment_silences_its_own_code_only():
    assert not check(Silenced(), SHAPE).findings
    assert check(Silenced(), SHAPE).num_silenced == 1
    assert [f.code for f in check(OtherCode(), SHAPE).errors] == ["SK101"]


def test_select_and_ignore_take_prefixes():
    assert check(Faulty(), SHAPE, select=["SK1"]).errors
    assert not check(Faulty(), SHAPE, ignore=["SK101"]).errors
    assert not check(Faulty(), SHAPE, select=["SK102"]).errors
    with pytest.raises(UnknownNameError, match="unknown code 'E501'"):
        check(Faulty(), SHAPE, select=["E501"])


def test_a_baseline_accepts_what_it_holds_and_nothing_more(tmp_path):
    report = check(Faulty(), SHAPE, repairs=False, sizes=False)
    file = tmp_path / "baseline.json"
    baselines.write_baseline(file, report.findings)
    accepted = baselines.read_baseline(file)
    assert baselines.new_findings(report.findings, accepted) == ()
    assert len(baselines.new_findings(report.findings * 2, accepted)) == len(report.findings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        (json.dumps({"schema": "x"}), "no baseline"),
        (json.dumps({"schema": "skipstone.Baseline", "version": 1}), "findings"),
    ],
)
def test_a_broken_baseline_is_told(tmp_path, text, words):
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(RecordError, match=words):
        baselines.read_baseline(file)


def test_assert_skips_ok_passes_and_fails():
    right = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    skipstone.assert_skips_ok(right, SHAPE, skips=0)
    with pytest.raises(AssertionError, match="SK101"):
        skipstone.assert_skips_ok(Faulty(), SHAPE)
    with pytest.raises(AssertionError, match="0 skips, expected 3"):
        skipstone.assert_skips_ok(right, SHAPE, skips=3)


def test_check_leaves_the_model_as_it_was():
    model = Faulty().eval()
    model.extra = [1]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    rng = torch.get_rng_state()
    check(model, SHAPE)
    assert not model.training
    assert model.extra == [1]
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert type(model) is Faulty
    assert not model._forward_hooks


def test_a_model_that_is_no_module_is_told():
    with pytest.raises(skipstone.core.errors.SkipstoneError, match=r"must be a torch\.nn\.Module, not str"):
        check("net", SHAPE)


def test_a_notebook_shows_findings_and_skips():
    html = check(Silenced(), SHAPE)._repr_html_()
    assert "<table>" in html
    assert "1 silenced" in html
    assert "<script" not in html


def test_the_pages_are_the_written_ones():
    folder = Path(__file__).parents[2] / "docs" / "findings"
    made = pages()
    assert {file.name for file in folder.glob("*.md")} == set(made)
    assert [name for name, text in made.items() if (folder / name).read_text(encoding="utf-8") != text] == []
