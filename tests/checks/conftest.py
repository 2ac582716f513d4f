"""Golden files: `pytest --golden` writes them anew, so that a change of text shows as a diff to review."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("contract")

_FOLDER = Path(__file__).with_name("golden")


@pytest.fixture
def golden(request):
    """Compare text with a golden file, or write it where the run was asked to."""

    def compare(name, text):
        file = _FOLDER / name
        if request.config.getoption("--golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare
