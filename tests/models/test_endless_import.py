"""An import of the user's file that never ends is cut off, and what stood before the loop is used; so is a factory."""

import pytest

from skipstone.models import importing
from skipstone.models.importing import TargetError, import_named, imported_file, why_stopped
from skipstone.models.target import resolve

NET = "import torch\n\nclass Net(torch.nn.Linear):\n    pass\n\n"
LOOP = "while True:\n    pass\n"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(importing, "SECONDS", 0.2)
    monkeypatch.setattr(importing, "BUILDING_SECONDS", 0.2)


def test_a_file_is_taken_as_far_as_it_came(tmp_path):
    (tmp_path / "net.py").write_text(NET + LOOP)
    with imported_file(str(tmp_path / "net.py"), "net.py") as module:
        assert module.Net
        told = why_stopped(module)
    assert told.startswith("importing net.py raised EndlessCodeError: it was cut off after 0 s (line ")


def test_a_loop_before_anything_is_no_target(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text(LOOP)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match="it was cut off after 0 s"):
        import_named("endless", "endless:Net")


def test_a_factory_that_does_not_end_is_told_with_its_line(tmp_path):
    (tmp_path / "net.py").write_text("def net():\n    while True:\n        pass\n")
    with pytest.raises(TargetError, match=r"net does not end: it was cut off after 0 s \(line [23]\)"):
        resolve(f"{tmp_path / 'net.py'}:net")
