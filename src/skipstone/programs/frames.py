"""The frames of an error or of a running call, and which of them are the user's."""

from collections.abc import Iterable
from pathlib import PurePath
from types import FrameType

Frames = Iterable[tuple[FrameType, int]]  # each frame with its line, outermost first, as `traceback.walk_tb` gives them
_NOT_THEIRS = ("torch", "keras", "skipstone", "warnings")


def own_place(frames: Frames) -> str:
    """The innermost line of the user's among these frames, `train.py:40`; "" where there is none."""
    place = ""
    for frame, line in frames:
        if is_own(frame):
            place = f"{PurePath(frame.f_code.co_filename).name}:{line}"
    return place


def is_own(frame: FrameType) -> bool:
    """Is the frame the user's code: neither a framework's, nor ours, nor that of Python's warnings?"""
    return module_of(frame).partition(".")[0] not in _NOT_THEIRS


def module_of(frame: FrameType) -> str:
    """The name of the module whose code the frame runs."""
    return str(frame.f_globals.get("__name__", ""))
