"""A fault of skipstone's own, told as such: what failed, under which versions, and where the traceback lies."""

import platform
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from skipstone.core.errors import InternalError, text_of

_PACKAGES = ("skipstone", "torch", "numpy")


def internal_error(error: BaseException) -> InternalError:
    """The error to raise from one that skipstone's own code made; its traceback is kept in a temporary file."""
    report = _keep(error)
    where = f"its traceback is in {report}; please report it, with that file," if report else "please report it"
    return InternalError(
        f"skipstone failed, and the network is not to blame: {_first_line(error)} ({versions()}); "
        f"{where} to the skipstone developers",
        report,
    )


def versions() -> str:
    """The versions a report of a fault needs, in words. Reads metadata: imports nothing."""
    return ", ".join([*map(_version, _PACKAGES), f"Python {platform.python_version()}", platform.platform()])


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}".split("\n")[0]


def _keep(error: BaseException) -> Path | None:
    text = f"{versions()}\n\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="skipstone-failed-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError:  # no room or no right to write: the error itself must still be told
        return None
    return Path(file.name)
