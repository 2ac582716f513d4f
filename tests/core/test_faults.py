"""A fault of ours is told with versions and a file that holds the traceback."""

import platform
import tempfile
from functools import partial
from types import SimpleNamespace

import pytest

from skipstone.core import faults
from skipstone.core.errors import InternalError, SkipstoneError


def _write_to(folder, monkeypatch):
    temporary = SimpleNamespace(NamedTemporaryFile=partial(tempfile.NamedTemporaryFile, dir=folder))
    monkeypatch.setattr(faults, "tempfile", temporary)


def _caught():
    try:
        {}["a key we forgot"]
    except KeyError as error:
        return error


def test_a_fault_names_versions_and_a_file_with_its_traceback(tmp_path, monkeypatch):
    _write_to(tmp_path, monkeypatch)
    error = faults.internal_error(_caught())
    assert isinstance(error, InternalError)
    assert not isinstance(error, SkipstoneError)
    assert str(error).startswith("skipstone failed, and the network is not to blame: KeyError: 'a key we forgot' (")
    for part in ("skipstone ", "torch ", "numpy ", f"Python {platform.python_version()}", str(error.report), "report"):
        assert part in str(error)
    assert error.report.parent == tmp_path
    text = error.report.read_text(encoding="utf-8")
    assert "in _caught" in text
    assert "KeyError: 'a key we forgot'" in text
    assert faults.versions() in text


def test_a_fault_is_told_where_no_file_can_be_written(tmp_path, monkeypatch):
    _write_to(tmp_path / "missing", monkeypatch)
    error = faults.internal_error(_caught())
    assert error.report is None
    assert str(error).endswith("); please report it to the skipstone developers")


def test_a_package_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(faults, "_PACKAGES", ("no-such-package",))
    with pytest.raises(InternalError, match="no-such-package not installed"):
        raise faults.internal_error(_caught())
