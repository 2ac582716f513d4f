"""Where in the source an operation was called: file, lines and columns."""

import os
import sys
from functools import cache
from types import CodeType, FrameType

from skipstone.core.graph import Place
from skipstone.tracing import interpreter
from skipstone.tracing.torch_files import FOLDER, RELAYS

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
KERAS_FOLDER = os.path.join("site-packages", "keras", "")  # as torch's own layers: no network's code
# What calls the network: further out stands whoever asked for it.
_CALLERS = (os.path.join(os.path.dirname(__file__), "session.py"), os.path.join(_OURS, "execution", "passes.py"))


def places(frame: FrameType | None = None, packages: frozenset[str] | None = None) -> tuple[Place | None, Place | None]:
    """The user's place (outside torch) and the site of the call itself (perhaps in torch), innermost frames first.

    With `packages`, installed packages other than these are passed over too: what einops does for a network is done at
    the network's line.
    """
    frame = frame or sys._getframe(1)
    site: Place | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        if file in _CALLERS:
            break
        if _is_user(file) and (packages is None or _installed_in(file) in (None, *packages)):
            place = _place_of(frame.f_code, frame.f_lasti)
            return place, site or place
        if site is None and (_is_site(file) or _is_user(file)):
            site = _place_of(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None, site


def is_augmented_assignment() -> bool:
    """Does the innermost frame outside the recorder stand at `x += y` or its like, rather than at a call?"""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and interpreter.is_augmented_assignment(frame)


def raised_at(frame: FrameType, last_instruction: int) -> Place | None:
    """The place of an error raised in this frame, None where the frame is not the user's."""
    return _place_of(frame.f_code, last_instruction) if _is_user(frame.f_code.co_filename) else None


@cache
def _is_user(file: str) -> bool:
    return not (
        is_ours(file) or file.startswith((FOLDER, "<frozen")) or file.endswith("contextlib.py") or KERAS_FOLDER in file
    )


@cache
def _installed_in(file: str) -> str | None:
    """The installed package a file belongs to, None where it is no package's."""
    parts = file.split(os.sep)
    return parts[parts.index("site-packages") + 1] if "site-packages" in parts else None


@cache
def is_ours(file: str) -> bool:
    """Part of skipstone's machinery; its networks and blocks are code like any user's."""
    return file.startswith(_OURS) and not file.startswith((_OURS + "models" + os.sep, _OURS + "blocks" + os.sep))


@cache
def _is_site(file: str) -> bool:
    return file.startswith(FOLDER) and file not in RELAYS


def _place_of(code: CodeType, last_instruction: int) -> Place:
    # Code objects of equal instructions are equal to Python, whatever their file, lines and columns.
    return _place(code, code.co_filename, code.co_linetable, last_instruction)


@cache
def _positions(code: CodeType, table: bytes) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


@cache
def _place(code: CodeType, file: str, table: bytes, last_instruction: int) -> Place:
    line, end_line, column, end_column = _positions(code, table)[last_instruction // 2]
    first = line or code.co_firstlineno
    return Place(code.co_filename, first, end_line or first, column or 0, end_column or 0, code.co_qualname)
