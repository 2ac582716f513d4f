"""The page of the public surface says what the docstrings say, of every public name."""

from pathlib import Path

import pytest

import skipstone
from skipstone.integrations.api_page import pages

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_is_what_the_docstrings_say():
    assert pages()["api.md"] == PAGE.read_text(encoding="utf-8"), "python -m skipstone.integrations.api_page docs"


@pytest.mark.parametrize("name", skipstone._EXPORTS)
def test_every_public_name_is_on_it(name):
    text = PAGE.read_text(encoding="utf-8")
    assert f"### `{name}`" in text or f"### `{name}(" in text


def test_every_error_is_a_kind_of_one():
    exported = [getattr(skipstone, name) for name in skipstone._EXPORTS]
    errors = [kind for kind in exported if isinstance(kind, type) and issubclass(kind, Exception)]
    apart = {kind.__name__ for kind in errors if not issubclass(kind, skipstone.SkipstoneError)}
    assert apart == {"InternalError", "PartialRecordWarning", "SurgeryWarning", "UntestedTorchWarning"}
