"""A command that only records need not wait for torch's compiler to load.

Making a `FakeTensorMode` imports `torch._dynamo` for two of its settings, and with it the whole compiler: about as long
as torch itself takes. In a process that compiles nothing a stand-in holds its place. As soon as anything else of the
compiler is imported or asked for, the real package is loaded and takes over.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"
_SETTINGS = f"{_NAME}.config"
# Needed, and standing alone; those behind the first in 2.6 only, where functorch's settings ask inductor's.
_ALONE = (_SETTINGS, "torch._inductor", "torch._inductor.config", "torch._inductor.custom_graph_pass")
_COMPILER = (f"{_NAME}.", "torch._inductor")


class _StandIn(ModuleType):
    """Stands for `torch._dynamo`: a name it does not have loads the package."""

    def __getattr__(self, name: str) -> Any:
        return getattr(load_dynamo(), name)


class _Watch(MetaPathFinder, Loader):
    """Loads the package before any other part of the compiler is imported, as that part expects."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(_COMPILER) or name in _ALONE:
            return None
        load_dynamo()
        module = sys.modules.get(name)
        if module is None:
            return None
        # Loading the package has imported this part too. The import system would follow its spec and run it again;
        # without one it takes ours, which hands the part out as it is.
        self._specs[name] = module.__spec__
        module.__spec__ = None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._specs.pop(module.__name__)


_watch = _Watch()


def postpone_dynamo() -> None:
    """Leave `torch._dynamo` unloaded until it is used. For command lines alone: all of the process sees the stand-in.

    What torch marks as not to be compiled (`torch._dynamo.disable`) is left as it is: nothing compiles it meanwhile.
    """
    if _NAME in sys.modules:
        return
    torch = importlib.import_module("torch")
    spec = importlib.util.find_spec(_NAME)
    if spec is None or spec.submodule_search_locations is None:
        return
    stand_in = _StandIn(_NAME, "Loads at the first use.")
    attributes = {
        "__path__": spec.submodule_search_locations,
        "__spec__": spec,
        "__file__": spec.origin,
        "__package__": _NAME,
        "disable": _unchanged,
    }
    stand_in.__dict__.update(attributes)
    sys.modules[_NAME] = stand_in
    torch.__dict__["_dynamo"] = stand_in
    sys.meta_path.insert(0, _watch)


def load_dynamo() -> ModuleType:
    """The real package, loaded now if it was postponed."""
    if isinstance(sys.modules.get(_NAME), _StandIn):
        sys.meta_path.remove(_watch)
        del sys.modules[_NAME]
        importlib.import_module("torch").__dict__.pop("_dynamo", None)
        return _imported_around_settings()
    return importlib.import_module(_NAME)


def compiles() -> bool:
    """Has anything been handed to `torch.compile` in this process?"""
    frames = sys.modules.get(f"{_NAME}.eval_frame")
    if frames is None:
        return False
    backends = getattr(frames, "cached_backends", None)  # 2.6 to 2.14. Without it: each pass is looked into, slower.
    return backends is None or any(map(callable, backends.values()))


def uncompiled() -> AbstractContextManager[object]:
    """What is compiled runs as it is written while this lasts, and is compiled behind it as if we had not been here.

    The compiler takes longer than a check, stumbles over modes and copies that are ours, and remembers that it did.
    """
    if f"{_NAME}.eval_frame" not in sys.modules:
        return nullcontext()  # nothing is compiled
    try:
        eager: AbstractContextManager[object] = importlib.import_module("torch").compiler.set_stance("force_eager")
    except RuntimeError:  # we are called by code that is compiled itself, where this can't be set
        return nullcontext()
    return eager


def is_of_compiler(error: BaseException | None) -> bool:
    return type(error).__module__.startswith(_NAME)


def _imported_around_settings() -> ModuleType:
    """The package, with its settings in place where they were loaded before it: an import binds no module twice."""
    spec = importlib.util.find_spec(_NAME)
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    if _SETTINGS in sys.modules:
        package.__dict__["config"] = sys.modules[_SETTINGS]
    sys.modules[_NAME] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[_NAME]
        raise
    importlib.import_module("torch").__dict__["_dynamo"] = package
    return package


def _unchanged(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    return function if function is not None else lambda decorated: decorated
