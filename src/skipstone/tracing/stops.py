"""Where and why a pass ended early, in words: the user's own line if the innermost frame is theirs."""

import inspect
import os
from collections.abc import Iterator
from types import FrameType

from skipstone.core.errors import text_of
from skipstone.core.graph import Stop
from skipstone.tracing.deadline import OutOfTime
from skipstone.tracing.position import raised_at
from skipstone.tracing.recorder import Recorder
from skipstone.tracing.torch_files import CHECKS, FOLDER
from skipstone.tracing.torch_internals import NOT_FAKED, running_module


def stop_at(error: BaseException, recorder: Recorder, seconds: float) -> Stop:
    """Where the error came from: the user's own line if the innermost frame is theirs, else the last operation's."""
    frames = list(_frames(error))
    place = raised_at(*frames[-1]) if frames else None
    running = [module for frame, _ in frames if (module := running_module(frame)) is not None]
    path = recorder.clone.paths.get(id(running[-1]), "") if running else recorder.last[0]
    # Behind the user's line there may be a library's: of both, the network's own code says more.
    files = {kind_file for module in recorder.clone.model.modules() if (kind_file := source_of(type(module))[0])}
    own = [raised_at(*frame) for frame in frames if frame[0].f_code.co_filename in files]
    where = next((spot for spot in reversed(own) if spot), None) or place or recorder.last[1]
    botched = isinstance(error, TypeError) and bool(frames) and frames[-1][0].f_code.co_filename == CHECKS
    refused = error is recorder.refusing and not isinstance(error, NOT_FAKED) and not botched
    own_code = not botched and (place is not None or _is_mistake(error, frames))
    nested = any(frame.f_code.co_filename.startswith(_NESTED) for frame, _ in frames)
    words = "a nested tensor (torch.nested) is not followed: a record has none" if nested else _words(error, seconds)
    return Stop(type(error).__name__, words, path, where, own=own_code, refused=refused)


# What Python, not torch, says of wrong code: a missing attribute, None or a list called, a tuple for a tensor.
_MISTAKES = (TypeError, AttributeError, NameError, LookupError, NotImplementedError)
_MODULES = FOLDER + "nn" + os.sep
_NESTED = FOLDER + "nested" + os.sep


def _is_mistake(error: BaseException, frames: list[tuple[FrameType, int]]) -> bool:
    """Is it raised by the code of torch's modules, or by a call of torch with arguments of the wrong types?"""
    if not isinstance(error, _MISTAKES) or not frames:
        return False
    file = frames[-1][0].f_code.co_filename
    if file.startswith(_MODULES) and not file.endswith("flex_attention.py"):  # that one refuses devices, not networks
        return True
    return isinstance(error, TypeError) and (
        "must be" in text_of(error) or "invalid combination of arg" in text_of(error)
    )


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The frames an error came through, outermost first, each with the instruction it stood at."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lasti
        traceback = traceback.tb_next


def _words(error: BaseException, seconds: float) -> str:
    if isinstance(error, OutOfTime):
        return f"the pass was not over after {seconds:g} s"
    if isinstance(error, SystemExit):
        return f"it ends the program, with status {error.code!r}"
    return _one_line(error) if isinstance(error, Exception) else f"it raises {type(error).__name__}"


def _one_line(error: BaseException) -> str:
    text = text_of(error).split("\n")[0].replace("FakeTensor", "Tensor")
    return text or type(error).__name__


_SOURCES: dict[type, tuple[str | None, int | None]] = {}


def source_of(kind: type) -> tuple[str | None, int | None]:
    if kind not in _SOURCES:
        forward = getattr(kind, "forward", None)
        forward = inspect.unwrap(forward) if callable(forward) else None
        code = getattr(forward, "__code__", None)
        _SOURCES[kind] = (code.co_filename, code.co_firstlineno) if code else (None, None)
    return _SOURCES[kind]
