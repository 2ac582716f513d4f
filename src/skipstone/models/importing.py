"""Import a user's file or module for the time one network is built from it, and leave the interpreter as it was."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeVar
from weakref import WeakKeyDictionary

from skipstone.core.errors import SkipstoneError, text_of
from skipstone.core.frameworks import advice
from skipstone.core.sources import SourceChange, read_source, rehearsal, rehearse, rehearsed

SECONDS = 120.0  # what the import of a file of the user's may take
BUILDING_SECONDS = 300.0  # ... and a constructor or factory of it: billions of weights take minutes to draw
Result = TypeVar("Result")


class TargetError(SkipstoneError, ValueError):
    """A target that names no network, or one that cannot be built."""


@contextmanager
def imported_file(file: str, target: str) -> Iterator[ModuleType]:
    """The module of a Python file, with the file's folder first on `sys.path` as `python file.py` would have it.

    On leaving, the path is as before and modules that came from the folder are forgotten, so that two revisions of one
    file can be read in one process. The file's own module stays known, under a name made of its path, because
    pickling its classes needs it. A file in a package (beside an `__init__.py`) is imported by its dotted name.
    """
    path = source_path(file, target)
    folder, dotted = _package_of(path)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield import_named(dotted, target) if "." in dotted else _load(path, target)
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        _forget(set(sys.modules) - before, folder)


def source_path(file: str, target: str) -> Path:
    """Where a target's Python file lies.

    Raises:
        TargetError: there is no such file.
    """
    path = Path(file).resolve()
    if path.is_dir():
        raise TargetError(f"target {target!r}: {file} is a folder; name a Python file in it")
    if not path.is_file():
        raise TargetError(f"target {target!r}: there is no file {file}{_nearby(path)}")
    return path


@contextmanager
def imported_module(name: str, target: str) -> Iterator[ModuleType]:
    """A module by its dotted name, found as `python -m` would: the working folder first on the path."""
    sys.path.insert(0, "")
    invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield import_named(name, target)
    finally:
        if "" in sys.path:
            sys.path.remove("")


def import_named(name: str, target: str) -> ModuleType:
    """`import name`, its failure in one line."""
    try:
        return _in_time(lambda: import_module(name), SECONDS)
    except BaseException as error:
        if ctrl_c(error):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise TargetError(f"target {target!r}: there is no module {error.name!r} on the Python path") from error
        told = f"importing {name} raised {one_line(error)}"
        raise TargetError(f"target {target!r}: {_with_advice(told, error)}") from error


def ctrl_c(error: BaseException) -> bool:
    """Is it the user's Ctrl-C, and not an error of the code that was imported or called?"""
    from skipstone.tracing.session import is_interrupt  # brings torch along, which --help must not

    return is_interrupt(error)


class EndlessCodeError(SkipstoneError):
    """Code of the user's, imported or called, that was cut off."""


def _in_time(work: Callable[[], Result], seconds: float) -> Result:
    """What code of the user's gives, cut off where it has run for so long: a training script's loop may never end.

    By the clock: what such code waits for, a download or an answer, may never come.
    """
    from skipstone.tracing.deadline import OutOfTime, call_foreign, time_limit
    from skipstone.tracing.keras_places import noting_calls

    try:
        with noting_calls(), time_limit(seconds, busy=1):
            return call_foreign(work)  # type: ignore[no-any-return]
    except OutOfTime as error:
        told = EndlessCodeError(f"it was cut off after {seconds:.0f} s")
        raise told.with_traceback(error.__traceback__) from None


def built_in_time(build: Callable[[], Result], file: str | None) -> Result:
    """What a constructor or factory of a file gives, cut off where it has run for `BUILDING_SECONDS`.

    Raises:
        EndlessCodeError: it was, with the line of the file that it had come to.
    """
    try:
        return _in_time(build, BUILDING_SECONDS)
    except EndlessCodeError as error:
        line = _line_in(error, Path(file).resolve(), -1) if file is not None else ""
        raise EndlessCodeError(f"{error}{line}").with_traceback(error.__traceback__) from None


def one_line(error: BaseException) -> str:
    """An exception as `Type: text`, on one line, with the line of the file where a syntax error stands."""
    text = " ".join(text_of(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _load(path: Path, target: str) -> ModuleType:
    name = f"{path.stem}_{sha256(os.fsencode(path)).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path, loader=_FreshLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise TargetError(f"target {target!r}: {path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader = spec.loader
        _in_time(lambda: loader.exec_module(module), SECONDS)
    except BaseException as error:
        if ctrl_c(error):
            raise
        told = _with_advice(f"importing {path.name} raised {one_line(error)}{_line_in(error, path)}", error)
        if not any(isinstance(value, type) and value.__module__ == name for value in vars(module).values()):
            del sys.modules[name]
            raise TargetError(f"target {target!r}: {told}") from error
        _STOPPED[module] = told, error  # the script's own test call, say: what it defined before is whole
    return module


def _with_advice(told: str, error: BaseException) -> str:
    return f"{told}; {words}" if (words := advice(error)) else told


class PartialImportWarning(UserWarning):
    """A file's import raised half-way, and what it had defined by then is used."""


_STOPPED: WeakKeyDictionary[ModuleType, tuple[str, BaseException]] = WeakKeyDictionary()


def why_stopped(module: ModuleType) -> str | None:
    """What ended the import of a file half-way, with its line; None where it came to its end."""
    return _STOPPED[module][0] if module in _STOPPED else None


def stopped_by(module: ModuleType) -> BaseException | None:
    """The error that ended the import of a file half-way; None where it came to its end."""
    return _STOPPED[module][1] if module in _STOPPED else None


def _line_in(error: BaseException, path: Path, which: int = 0) -> str:
    """A line of a file that an exception came through, the first or the last (-1), as ` (line 3)`; "" for none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" (line {lines[which]})" if lines else ""


@contextmanager
def rehearsing() -> Iterator[Callable[[SourceChange], None]]:
    """Gives a function that lets changes be imported which are not written; all is as on the disk afterwards."""
    changed: list[SourceChange] = []

    def put(change: SourceChange) -> None:
        changed.append(change)
        rehearse(change.path, change.after)
        forget_package(change.path)

    with rehearsal():
        sys.meta_path.insert(0, _RehearsedFinder)
        try:
            yield put
        finally:
            sys.meta_path.remove(_RehearsedFinder)
            for change in changed:
                forget_package(change.path)


class _FreshLoader(SourceFileLoader):
    """Compiles the source itself: a cache of bytecode is trusted by time and size, which two quick edits may share."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(read_source(self.path), self.path)


class _RehearsedFinder:
    """Finds what Python would find, if its file is being rehearsed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        others = [finder for finder in sys.meta_path if finder is not _RehearsedFinder]
        spec = next((s for finder in others if (s := finder.find_spec(name, path, target)) is not None), None)
        if spec is None or spec.origin is None or rehearsed(spec.origin) is None:
            return None
        spec.loader = _FreshLoader(name, spec.origin)
        return spec


def forget_package(file: Path) -> None:
    """Forget the modules made from a file that has changed, with its whole package, whose other modules hold its names.

    Of skipstone's own package only the one module: we are running in it.
    """
    made = {name for name, module in list(sys.modules.items()) if getattr(module, "__file__", None) == str(file)}
    packages = {name.partition(".")[0] for name in made} - {"skipstone"}
    for name in list(sys.modules):
        if name in made or name.partition(".")[0] in packages:
            del sys.modules[name]


def _package_of(path: Path) -> tuple[Path, str]:
    """The folder to put on the path, and the file's dotted name from there."""
    folder, parts = path.parent, [path.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _forget(names: set[str], folder: Path) -> None:
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        inside = file is not None and Path(file).resolve().is_relative_to(folder)
        if inside and not _is_installed(Path(str(file))) and not name.endswith(_digest(Path(str(file)))):
            del sys.modules[name]


def _digest(file: Path) -> str:
    return "_" + sha256(os.fsencode(file.resolve())).hexdigest()[:8]


def _is_installed(file: Path) -> bool:
    return "site-packages" in file.parts


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    files = sorted(file.name for file in path.parent.glob("*.py"))
    return f"; in its folder: {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}" if files else ""
