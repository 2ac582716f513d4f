"""The glossary: every word that findings use is in it, `explain` prints it, the page is the table's."""

import re
from pathlib import Path

import pytest

from skipstone.core.errors import UnknownNameError
from skipstone.integrations import glossary
from skipstone.integrations.pages import explain

ROOT = Path(__file__).parents[2]
# Words of the trade that stand in golden findings: each must be explained.
USED = """axis backward baseline branch broadcasting channels detached evaluation features identity interpolate mask
multiply-adds note operand parameters place places position projection registered repair resample rounds-up samples
shortcut skip stream table zero-channels legal-sizes in-place out-of-place ceil_mode k3 padding activation""".split()


def test_the_page_is_the_tables():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert glossary.pages()["glossary.md"] == text, "python -m skipstone.integrations.glossary docs"


@pytest.mark.parametrize("word", USED)
def test_words_of_findings_are_explained(word):
    assert glossary.term(word) is not None


def test_every_name_leads_to_one_term():
    names = [glossary._plain(name) for term in glossary.TERMS for name in (term.name, *term.also)]
    assert sorted(set(names)) == sorted(names)


def test_explain_prints_a_word_and_refuses_what_is_none():
    assert "option A" in explain("subsample")
    assert explain("Legal Sizes").startswith("legal sizes\n\n    The input sizes")
    with pytest.raises(UnknownNameError, match="unknown code, design or word 'brnch'"):
        explain("brnch")


def test_no_finding_speaks_of_torchs_inner_names():
    texts = "\n".join(path.read_text() for path in (ROOT / "tests" / "checks" / "golden").glob("*.txt"))
    assert not re.search(r"aten[.:]|\.default\b|subsample|option [ab]\b", texts)
