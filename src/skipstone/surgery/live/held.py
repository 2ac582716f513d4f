"""Code that an instance holds, beside its class: functions, bound methods and partial functions in its attributes.

A class serves all its instances; what one of them holds runs for it alone: `self.join = lambda x, y: x + y`, a
`forward` put on the instance, a hook. Attributes that hold such a function directly can be edited: a property of the
edited class gives the edited function, the instance keeps its own. What lies deeper, in lists or objects, can only be
watched.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType

from torch import Tensor, nn

from skipstone.core.graph import Place
from skipstone.surgery.live.locate import Route, holds, route
from skipstone.surgery.live.rewriting import HANDLERS
from skipstone.tracing.torch_internals import hooks_of

_DEPTH = 3  # containers and objects within one another


@dataclass(frozen=True)
class Held:
    """What an instance holds of the places to be edited, to be kept with its copies.

    `names` are the attributes that hold the code directly, `direct` the places there, `hooked` those in its hooks,
    `deeper` those in containers and objects that it holds.
    """

    names: tuple[str, ...] = ()
    direct: frozenset[Place] = frozenset()
    hooked: frozenset[Place] = frozenset()
    deeper: frozenset[Place] = frozenset()


def held_by(module: nn.Module, places: Iterable[Place]) -> Held:
    # A forward of the instance's own runs in place of the class's, which counts the runs of lines.
    names = dict.fromkeys(("forward",) if "forward" in module.__dict__ else ())
    direct, hooked, deeper = set(), set(), set()
    for place in places:
        if here := dict.fromkeys(_names(module, place)):
            names |= here
            direct.add(place)
        if any(_reaches(hook, place) for hooks in hooks_of(module) for hook in hooks.values()):
            hooked.add(place)
        if any(holds(function.__code__, place) for value in _others(module) for function in _within(value, _DEPTH)):
            deeper.add(place)
    return Held(tuple(names), frozenset(direct), frozenset(hooked), frozenset(deeper))


def function_of(value: object) -> FunctionType | None:
    """The function that a call of the value runs, where it is one of Python's."""
    while isinstance(value, partial):
        value = value.func
    if isinstance(value, MethodType):
        value = value.__func__
    if not isinstance(value, FunctionType) and not isinstance(value, type):
        value = next((vars(cls)["__call__"] for cls in type(value).__mro__ if "__call__" in vars(cls)), None)
    return value if isinstance(value, FunctionType) else None


def routes(value: object, places: Iterable[Place]) -> dict[Place, Route]:
    """For each place that a call of the value leads to, the way there."""
    function = function_of(value) if _is_direct(value) else None
    if function is not None and HANDLERS in function.__code__.co_freevars:
        return {}  # a bound method loaded from a file is bound to the edited class already
    found = {place: route(function, place) for place in places} if function is not None else {}
    return {place: way for place, way in found.items() if way is not None}


def rebuilt(value: object, new: Callable[..., object]) -> Callable[..., object]:
    """The same value around another function."""
    if isinstance(value, partial):
        return partial(rebuilt(value.func, new), *value.args, **value.keywords)
    return MethodType(new, value.__self__) if isinstance(value, MethodType) else new


def _names(module: nn.Module, place: Place) -> Iterator[str]:
    for name, value in module.__dict__.items():
        if routes(value, (place,)):
            yield name


def _is_direct(value: object) -> bool:
    while isinstance(value, partial):
        value = value.func
    return isinstance(value, FunctionType | MethodType)


def _reaches(value: object, place: Place) -> bool:
    function = function_of(value)
    return function is not None and route(function, place) is not None


def _others(module: nn.Module) -> Iterator[object]:
    """The attributes of the user's own that are no functions."""
    for name, value in module.__dict__.items():
        if not (name.endswith("_hooks") or name in ("_parameters", "_buffers", "_modules") or _is_direct(value)):
            yield value


def _within(value: object, depth: int) -> Iterator[FunctionType]:
    if _is_direct(value):
        function = function_of(value)
        assert function is not None
        yield function
    elif depth and not isinstance(value, nn.Module | Tensor | type | str | bytes):
        inner: Iterable[object] = ()
        if isinstance(value, dict):
            inner = value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            inner = value
        elif hasattr(value, "__dict__"):
            inner = vars(value).values()
        for item in inner:
            yield from _within(item, depth - 1)
