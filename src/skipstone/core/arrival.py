"""The moment a program has imported a package that it is to be watched in.

Torch reads the environment when it loads (threads, devices), and Keras when it does (its backend): a program that sets
it first must load them itself, so whoever watches waits for that and imports neither.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def when_arrived(package: str, then: Callable[[], None]) -> None:
    """Call `then` once a package is loaded: now, if it is."""
    if package in sys.modules:
        then()
    else:
        sys.meta_path.insert(0, _Finder(package, then))


@contextmanager
def on_arrival(package: str, then: Callable[[], None]) -> Iterator[None]:
    """`when_arrived`, for as long as this block runs."""
    if package in sys.modules:
        then()
        yield
        return
    finder = _Finder(package, then)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):  # it has gone by itself
            sys.meta_path.remove(finder)


class _Finder:
    """Finds a package as Python would have, and only that, and only once."""

    def __init__(self, package: str, then: Callable[[], None]) -> None:
        self._package, self._then = package, then

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._package:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            _tell_when_loaded(spec.loader, self._then)
        return spec


def _tell_when_loaded(loader: Loader, then: Callable[[], None]) -> None:
    load = loader.exec_module

    def load_and_tell(module: ModuleType) -> None:
        del loader.exec_module  # the loader is as it was
        load(module)
        then()

    loader.exec_module = load_and_tell  # type: ignore[method-assign]
