"""What a file's own code builds its networks with and gives them: seen while it is imported, or run as a program.

A class that needs arguments, or inputs that nobody can guess, is met there with both. A program runs in this process
until each class that is asked about has been called, it ends, or time is up.
"""

import ast
import inspect
import os
import runpy
import sys
import time
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skipstone.models.importing import one_line
from skipstone.programs.calls import Listener, RootCall, Watch
from skipstone.tracing.nests import tensors_in

_SECONDS = 60.0  # a program that trains for hours is left as soon as it has shown what is asked, and then at the latest


@dataclass(frozen=True, slots=True)
class Seen:
    """One way in which the program made a class, `(64, 128)`, and the inputs it then called it with, as `--input` takes
    them; None where it did not call it itself, or with something else than tensors of two axes and more."""

    name: str
    arguments: str
    inputs: tuple[str, ...] | None


class _EnoughError(BaseException):
    """The program goes round in circles, or takes too long: it is left."""


class Shown:
    """The modules of certain classes that watched code made, and the calls of its roots."""

    def __init__(self, wanted: Callable[[type], bool], watch: Watch) -> None:
        self._wanted, self._watch = wanted, watch
        self._made: dict[int, tuple[nn.Module, str]] = {}

    def note(self, module: nn.Module, arguments: str | None) -> None:
        """A module is being made; None where its arguments can't be written down."""
        if arguments is not None and self._wanted(type(module)):
            self._made[id(module)] = module, arguments

    @property
    def names(self) -> set[str]:
        """The classes met so far."""
        return {type(module).__name__ for module, _ in self._made.values()}

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Each way in which a class was made and called; of a class that was never called, how it was made."""
        calls = {id(module): call for module, call in self._watch.roots()}
        found = [
            Seen(type(module).__name__, arguments, _inputs(calls[key]) if key in calls else None)
            for key, (module, arguments) in self._made.items()
        ]
        called = {seen.name for seen in found if seen.inputs}
        return tuple(dict.fromkeys(seen for seen in found if seen.inputs or seen.name not in called))


@contextmanager
def showing(wanted: Callable[[type], bool], before: Listener | None = None) -> Iterator[Shown]:
    """Watch what code in this block makes of the wanted classes, and calls; `before` is told of each call."""
    watch = Watch(lambda module: before)
    shown = Shown(wanted, watch)
    with _building(shown.note):
        watch.start()
        try:
            yield shown
        finally:
            watch.stop()


def seen_in(file: str, names: Collection[str], seconds: float = _SECONDS) -> tuple[tuple[Seen, ...], str]:
    """What the program showed of the classes of these names, and in words what ended it, "" where nothing did.

    It is left when a network is called for the third time and all of the names have been met. What it prints is of no
    interest; an error of its own is told and goes no further.
    """
    until = time.monotonic() + seconds

    def before(module: nn.Module, call: RootCall, args: tuple[object, ...]) -> None:
        if time.monotonic() > until or (call.number > 1 and shown.names >= set(names)):
            raise _EnoughError

    def wanted(kind: type) -> bool:
        return kind.__name__ in names and kind.__module__ == "__main__"

    with _as_program(file), showing(wanted, before) as shown:
        ended = _run(file)
    return shown.seen, ended


def _run(file: str) -> str:
    try:
        runpy.run_path(file, run_name="__main__")
    except (_EnoughError, SystemExit):
        return ""
    except Exception as error:  # noqa: BLE001 - whatever the user's program raises
        return one_line(error)
    return ""


@contextmanager
def _as_program(file: str) -> Iterator[None]:
    """`sys.argv` and `sys.path` as `python file.py` has them, and as they were afterwards."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = [file]
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        sys.argv, sys.path[:] = argv, path


@contextmanager
def _building(tell: Callable[[nn.Module, str | None], None]) -> Iterator[None]:
    """Tells of each module that is made, and with which arguments: its constructor's frame still holds them."""
    plain = nn.Module.__init__

    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        tell(self, _arguments(self, sys._getframe(1)))
        plain(self, *args, **kwargs)

    nn.Module.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__init__ = plain  # type: ignore[method-assign]


def _arguments(module: nn.Module, frame: types.FrameType | None) -> str | None:
    """The constructor's arguments as source, `(64, stride=2)`; None where one is no literal."""
    constructor = type(module).__init__
    while frame is not None and frame.f_code is not constructor.__code__:
        frame = frame.f_back if frame.f_locals.get("self") is module else None
    if frame is None:
        return None
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    texts = []
    for parameter in parameters:
        value = frame.f_locals.get(parameter.name, parameter.default)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if value:
                return None
        elif not _is_literal(value):
            return None
        elif parameter.default is parameter.empty:
            texts.append(repr(value))
        elif value != parameter.default:
            texts.append(f"{parameter.name}={value!r}")
    return f"({', '.join(texts)})"


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _inputs(call: RootCall) -> tuple[str, ...] | None:
    """The call's tensors as typed inputs, the program's own batch kept; None where anything else was given."""
    example = call.example()
    given = [*example.args, *example.kwargs.values()]
    if not given or example.kwargs or not all(isinstance(v, torch.Tensor) and v.dim() > 1 for v in given):
        return None
    return tuple(map(_typed, tensors_in(given)))


def _typed(tensor: torch.Tensor) -> str:
    kind = "" if tensor.dtype == torch.float32 else f":{str(tensor.dtype).removeprefix('torch.')}"
    return f"{','.join(map(str, tensor.shape))}{kind}"
