"""A program run as `python script.py` or `python -m package.module` would run it, its errors explained."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from skipstone.core.arrival import when_arrived
from skipstone.core.errors import SkipstoneError
from skipstone.programs.hooks import Hooks


class ProgramError(SkipstoneError):
    """A program that cannot be started: no such file, or no such module."""


def run_program(target: str, arguments: Sequence[str] = (), *, module: bool = False, check: bool = False) -> None:
    """Run a script, or with `module` a module, as Python would: its own `__main__`, `sys.argv` and `sys.path[0]`.

    What it raises goes on to the interpreter, `SystemExit` and `KeyboardInterrupt` among it, so that the process ends
    as it would have ended. With `check`, the root modules seen in training are checked and told of at the end.

    Raises:
        ProgramError: no such file or module.
    """
    hooks = Hooks()
    hooks.start()
    code, main = _module(target) if module else _script(target)
    hooks.program = code
    sys.argv = [str(main.__file__) if module else target, *arguments]
    sys.path[0:1] = [os.getcwd() if module else str(Path(target).resolve().parent)]
    sys.modules["__main__"] = main
    when_arrived("torch", lambda: _observe(hooks, check))
    try:
        exec(code, main.__dict__)
    except SystemExit:
        hooks.tell_the_rest()
        raise
    except BaseException:
        hooks.start()  # behind a hook that the program has set meanwhile
        raise
    hooks.tell_the_rest()


def _observe(hooks: Hooks, check: bool) -> None:
    from skipstone.programs.observer import Observer

    hooks.observer = Observer(check=check)
    hooks.observer.start()


def _script(target: str) -> tuple[CodeType, ModuleType]:
    path = Path(target).absolute()
    if path.is_dir():
        path = path / "__main__.py"
        if not path.exists():
            raise ProgramError(f"{target!r} is a folder without a __main__.py; name the script in it")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ProgramError(f"can't open file {target!r}: {error.strerror}") from None
    main = _fresh_main(None)
    main.__file__ = str(path)
    main.__loader__ = SourceFileLoader("__main__", str(path))
    return compile(source, str(path), "exec", dont_inherit=True), main


def _module(target: str) -> tuple[CodeType, ModuleType]:
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(target)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{target}.__main__")
    except ModuleNotFoundError as error:
        raise ProgramError(f"no module named {error.name!r}") from None
    code = spec.loader.get_code(spec.name) if spec is not None and hasattr(spec.loader, "get_code") else None  # type: ignore[union-attr]
    if spec is None or code is None:
        raise ProgramError(f"no module named {target!r} that can be run; a package needs a __main__.py")
    main = _fresh_main(spec)
    main.__file__, main.__loader__, main.__package__ = spec.origin, spec.loader, spec.parent
    sys.path.pop(0)
    return code, main


def _fresh_main(spec: ModuleSpec | None) -> ModuleType:
    main = ModuleType("__main__")
    main.__spec__ = spec
    main.__dict__.update(__builtins__=__builtins__, __annotations__={}, __package__=None)
    return main
