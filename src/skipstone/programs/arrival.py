"""The moment a program has imported torch.

Torch reads the environment when it loads (threads, devices), so a program that sets it first must load torch itself:
nothing here, or above it, may import torch before the program does.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def when_torch_arrives(then: Callable[[], None]) -> None:
    """Call `then` once torch is loaded: now, if it is."""
    if "torch" in sys.modules:
        then()
    else:
        sys.meta_path.insert(0, _Finder(then))


class _Finder:
    """Finds torch as Python would have, and only that, and only once."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
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
