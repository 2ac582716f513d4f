"""Import a user's file or module for the time one network is built from it, and leave the interpreter as it was."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from skipstone.core.errors import SkipstoneError


class TargetError(SkipstoneError, ValueError):
    """A target that names no network, or one that cannot be built."""


@contextmanager
def imported_file(file: str, target: str) -> Iterator[ModuleType]:
    """The module of a Python file, with the file's folder first on `sys.path` as `python file.py` would have it.

    On leaving, the path is as before and modules that came from the folder are forgotten, so that two revisions of one
    file can be read in one process. The file's own module stays known, under a name made of its path, because
    pickling its classes needs it. A file in a package (beside an `__init__.py`) is imported by its dotted name.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise TargetError(f"target {target!r}: there is no file {file}{_nearby(path)}")
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
        return import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise TargetError(f"target {target!r}: there is no module {error.name!r} on the Python path") from error
        raise TargetError(f"target {target!r}: importing {name} raised {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """An exception as `Type: text`, on one line, with the line of the file where a syntax error stands."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _load(path: Path, target: str) -> ModuleType:
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"target {target!r}: {path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TargetError(f"target {target!r}: importing {path.name} raised {one_line(error)}") from error
    return module


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
    return "_" + sha256(str(file.resolve()).encode()).hexdigest()[:8]


def _is_installed(file: Path) -> bool:
    return "site-packages" in file.parts


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    files = sorted(file.name for file in path.parent.glob("*.py"))
    return f"; in its folder: {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}" if files else ""
