"""Networks that keep state wherever Python lets them: what a forward pass of each would change must not change.

`make` gives the model; `state` everything that it could have changed, as comparable values.
"""

import collections
import functools
import itertools
import random
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

IMAGE = (2, 3, 8, 8)
Make = Callable[[], nn.Module]
MODELS: dict[str, Make] = {}


class Block(nn.Module):
    """x + conv(x), with `step` called on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        done = self.step(y)
        return x + (y if done is None else done)

    def step(self, y):
        return None


def model(make: Any) -> Any:
    MODELS[make.__name__] = make
    return make


def stepping(name: str, prepare: Callable[[Block], None], step: Callable[[Any, Any], Any]) -> None:
    kind = type(name, (Block,), {"step": step})

    def make() -> nn.Module:
        made = kind()
        prepare(made)
        return made

    MODELS[name] = make


def silent(_: object) -> None:
    """Nothing, whatever was done."""


# ---- state on the instance, in every kind of container

CONTAINERS = {
    "a list": (lambda m: setattr(m, "seen", []), lambda m, y: m.seen.append(y)),
    "a dict": (lambda m: setattr(m, "seen", {}), lambda m, y: m.seen.update(y=y)),
    "an empty ordered dict": (
        lambda m: setattr(m, "seen", collections.OrderedDict()),
        lambda m, y: m.seen.update(y=y),
    ),
    "a set": (lambda m: setattr(m, "seen", set()), lambda m, y: m.seen.add(y.shape)),
    "a deque": (lambda m: setattr(m, "seen", collections.deque(maxlen=2)), lambda m, y: m.seen.append(y)),
    "a default dict": (
        lambda m: setattr(m, "seen", collections.defaultdict(list)),
        lambda m, y: m.seen["y"].append(y),
    ),
    "a counter": (lambda m: setattr(m, "seen", collections.Counter()), lambda m, y: m.seen.update(["y"])),
    "nested": (lambda m: setattr(m, "seen", {"a": [{"b": []}]}), lambda m, y: m.seen["a"][0]["b"].append(y)),
    "in a tuple": (lambda m: setattr(m, "seen", ([], 1)), lambda m, y: m.seen[0].append(y)),
    "a number": (lambda m: setattr(m, "calls", 0), lambda m, y: setattr(m, "calls", m.calls + 1)),
    "a new attribute": (lambda m: None, lambda m, y: setattr(m, "late", y)),
    "a plain tensor": (lambda m: setattr(m, "sum", torch.zeros(3)), lambda m, y: silent(m.sum.add_(1))),
    "a buffer": (
        lambda m: m.register_buffer("sum", torch.zeros(3)),
        lambda m, y: silent(m.sum.mul_(0.9).add_(y.mean((0, 2, 3)))),
    ),
    "a norm": (lambda m: None, lambda m, y: m.norm(y)),
    "the data of a parameter": (lambda m: None, lambda m, y: silent(m.conv.bias.data.add_(1))),
    "a parameter put anew": (lambda m: None, lambda m, y: setattr(m.conv, "bias", nn.Parameter(torch.ones(3)))),
    "a module added": (lambda m: None, lambda m, y: m.add_module("more", nn.Identity())),
    "a hook added": (lambda m: None, lambda m, y: silent(m.conv.register_forward_hook(lambda *_: None))),
    "its mode": (lambda m: None, lambda m, y: silent(m.eval())),
    "its gradient flags": (lambda m: None, lambda m, y: silent(m.requires_grad_(False))),
    "a bound method of a list": (lambda m: m.__dict__.update(seen=(s := []), push=s.append), lambda m, y: m.push(y)),
    "a partial function": (
        lambda m: m.__dict__.update(seen=(s := []), push=functools.partial(lambda into, y: into.append(y), s)),
        lambda m, y: m.push(y),
    ),
    "a generator of torch": (
        lambda m: setattr(m, "noise", torch.Generator().manual_seed(1)),
        lambda m, y: y + torch.rand(y.shape, generator=m.noise),
    ),
    "a generator of Python": (lambda m: setattr(m, "noise", random.Random(1)), lambda m, y: y * m.noise.random()),
}
for _name, (_prepare, _step) in CONTAINERS.items():
    stepping(_name, _prepare, _step)


# ---- what is used up


@model
def an_iterator() -> nn.Module:
    return _iterating(iter([1, 2, 3, 4, 5, 6, 7, 8, 9]))


@model
def a_count() -> nn.Module:
    return _iterating(itertools.count())


@model
def a_generator() -> nn.Module:
    return _iterating(i for i in range(100))


def _iterating(source) -> nn.Module:
    class Iterating(Block):
        def step(self, y):
            return y * next(self.source)

    made = Iterating()
    made.source = source
    return made


# ---- hooks


class Extractor(nn.Module):
    def __init__(self, keep_handles: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.features: dict[str, object] = {}
        handles = [child.register_forward_hook(self.save(name)) for name, child in self.net.named_children()]
        if keep_handles:
            self.handles = handles

    def save(self, name):
        def hook(module, args, output):
            self.features[name] = output

        return hook

    def forward(self, x):
        return x + self.net(x)


MODELS["hooks, their handles kept"] = lambda: Extractor(True)
MODELS["hooks"] = lambda: Extractor(False)


@model
def a_hook_that_removes_itself() -> nn.Module:
    made = Block()

    def once(module, args, output):
        handle.remove()

    handle = made.conv.register_forward_hook(once)
    return made


@model
def a_hook_whose_handle_is_global() -> nn.Module:
    global _handle
    made = Block()
    _handle = made.conv.register_forward_pre_hook(_global_once)
    return made


def _global_once(module, args):
    _handle.remove()


@model
def a_hook_that_is_a_method() -> nn.Module:
    class Watching(Block):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0
            self.conv.register_forward_hook(self.count)

        def count(self, module, args, output):
            self.calls += 1

    return Watching()


@model
def a_hook_that_is_an_object() -> nn.Module:
    class Recorder:
        def __init__(self, owner) -> None:
            self.owner, self.outputs = owner, []

        def __call__(self, module, args, output):
            self.outputs.append(output)
            self.owner.last = output

    made = Block()
    made.recorder = Recorder(made)
    made.conv.register_forward_hook(made.recorder)
    return made


@model
def a_hook_with_the_model_as_a_default() -> nn.Module:
    made = Block()
    made.calls = 0

    def count(module, args, output, *, owner=made):
        owner.calls += 1

    made.conv.register_forward_hook(count)
    return made


# ---- functions, closures and default arguments


@model
def a_function_with_the_model_as_a_default() -> nn.Module:
    class Counting(Block):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0
            self.step = lambda y, m=self: m.count(y)

        def count(self, y):
            self.calls += 1
            return self.norm(y)

    return Counting()


@model
def a_function_with_a_list_as_a_default() -> nn.Module:
    made = Block()
    made.step = lambda y, seen=[]: seen.append(y)
    return made


@model
def a_function_with_attributes() -> nn.Module:
    made = Block()

    def step(y):
        step.calls += 1

    step.calls = 0
    made.step = step
    return made


@model
def closures_in_closures() -> nn.Module:
    made, seen = Block(), []

    def outer():
        def inner(y):
            seen.append(y)
            made.last = y

        return inner

    made.step = outer()
    made.seen = seen
    return made


@model
def a_counter_in_a_closure() -> nn.Module:
    made, count = Block(), 0

    def step(y):
        nonlocal count
        count += 1

    made.step = step
    made.read = lambda: count
    return made


@model
def a_forward_of_the_instance() -> nn.Module:
    made = Block()
    plain = made.forward

    def forward(x):
        made.calls = getattr(made, "calls", 0) + 1
        return plain(x)

    made.forward = forward
    return made


@model
def a_wrapped_method() -> nn.Module:
    made = Block()

    @functools.wraps(made.step)
    def step(y):
        made.steps.append(y)

    made.step, made.steps = step, []
    return made


# ---- objects


@dataclass
class Settings:
    scale: float = 1.0
    seen: list[object] = field(default_factory=list)


class Slotted:
    __slots__ = ("count", "owner")

    def __init__(self, owner) -> None:
        self.count, self.owner = 0, owner


MODELS["a dataclass"] = lambda: _with("settings", Settings(), lambda m, y: m.settings.seen.append(y))
MODELS["a namespace"] = lambda: _with(
    "space", types.SimpleNamespace(n=0), lambda m, y: setattr(m.space, "n", m.space.n + 1)
)


def _with(name: str, value: object, step) -> nn.Module:
    made = type("With", (Block,), {"step": step})()
    setattr(made, name, value)
    return made


@model
def an_object_with_slots() -> nn.Module:
    class Holding(Block):
        def step(self, y):
            self.slotted.count += 1
            self.slotted.owner.last = y

    made = Holding()
    made.slotted = Slotted(made)
    return made


@model
def a_module_with_slots() -> nn.Module:
    class Slots(Block):
        __slots__ = ("n",)

        def __init__(self) -> None:
            super().__init__()
            self.n = 0

        def step(self, y):
            self.n += 1

    return Slots()


@model
def modules_in_a_plain_list() -> nn.Module:
    return _with("blocks", [Block(), nn.BatchNorm2d(3)], lambda m, y: m.blocks[1](m.blocks[0](y)))


@model
def an_object_that_holds_modules() -> nn.Module:
    return _with("space", types.SimpleNamespace(norm=nn.BatchNorm2d(3)), lambda m, y: m.space.norm(y))


# ---- references that do not hold


class Child(Block):
    def step(self, y):
        self.parent().calls += 1


class ProxyChild(Block):
    def step(self, y):
        self.parent.calls += 1


@model
def a_weak_reference() -> nn.Module:
    made = nn.Sequential(Child())
    made.calls = 0
    made[0].parent = weakref.ref(made)
    return made


@model
def a_weak_proxy() -> nn.Module:
    made = nn.Sequential(ProxyChild())
    made.calls = 0
    made[0].__dict__["parent"] = weakref.proxy(made)  # set as an attribute it would be a child
    return made


@model
def weak_mappings() -> nn.Module:
    def step(m, y):
        m.by_module[m.conv]["calls"] += 1
        m.by_name["norm"](y)

    made = type("Weak", (Block,), {"step": step})()
    made.by_module = weakref.WeakKeyDictionary({made.conv: {"calls": 0}})
    made.by_name = weakref.WeakValueDictionary({"norm": made.norm})
    return made


# ---- outside the instance


class OfTheClass(Block):
    calls = 0
    cache: dict[str, object] = {}  # noqa: RUF012 - what the test is about
    scale = torch.zeros(3)

    def step(self, y):
        type(self).calls += 1
        OfTheClass.late = y
        self.cache["y"] = y
        self.scale.add_(1)


class OfABaseClass(OfTheClass):
    def step(self, y):
        super().step(y)
        OfTheClass.calls += 1


MODELS["attributes of the class"] = OfTheClass
MODELS["attributes of a base class"] = OfABaseClass

CACHE: dict[str, object] = {}
CALLS = 0
TABLE = torch.zeros(3)
NORM = nn.BatchNorm2d(3)
SETTINGS = Settings()


def _deeper(y) -> None:
    global CALLS
    CALLS += 1
    SETTINGS.seen.append(y)
    SETTINGS.scale += 1


class Globals(Block):
    def step(self, y):
        CACHE["y"] = y
        TABLE.add_(1)
        TABLE[0] = 5
        _deeper(y)
        return NORM(y)


MODELS["globals"] = Globals

BY_SIZE: dict[object, torch.Tensor] = {}


@functools.cache
def _by_size(shape: torch.Size) -> torch.Tensor:
    return torch.arange(shape[-1]) / shape[-1]


class ReadsItsCache(Block):
    """What one pass kept is read by the next one of the same size."""

    def step(self, y):
        if y.shape not in BY_SIZE:
            BY_SIZE[y.shape] = torch.arange(y.shape[-1]) / y.shape[-1]
        return y + BY_SIZE[y.shape]


class ReadsACachedFunction(Block):
    def step(self, y):
        return y + _by_size(y.shape)


MODELS["reads a cache"], MODELS["reads a cached function"] = ReadsItsCache, ReadsACachedFunction


# ---- forms that torch gives


@model
def spectral_norm() -> nn.Module:
    made = Block()
    made.conv = parametrizations.spectral_norm(made.conv)
    return made


@model
def weight_norm() -> nn.Module:
    made = Block()
    made.conv = parametrizations.weight_norm(made.conv)
    return made


@model
def symbolically_traced() -> nn.Module:
    return torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)))


@model
def a_merging_train() -> nn.Module:
    class Merging(Block):
        merged = False

        def train(self, mode: bool = True):
            super().train(mode)
            if mode == self.merged:
                self.conv.weight.data += 1 if mode else -1
                self.merged = not mode
            return self

    return Merging()


def state(made: nn.Module) -> dict[str, object]:
    """Everything a pass could have changed, by path."""
    found: dict[str, object] = {}
    own = {f"class.{name}": vars(OfTheClass).get(name, "absent") for name in ("calls", "late", "cache", "scale")}
    roots = {
        **own, "model": made, "cache": CACHE, "calls": CALLS, "table": TABLE, "norm": NORM, "settings": SETTINGS,
        "by size": BY_SIZE, "kept by size": _by_size.cache_info().currsize, "handle": globals().get("_handle"),
    }  # fmt: skip
    seen: set[int] = set()
    for name, value in roots.items():
        _describe(value, name, found, seen)
    return found


def _describe(value: Any, path: str, found: dict[str, object], seen: set[int]) -> None:
    if value is None or isinstance(value, bool | int | float | str | bytes | torch.Size | torch.dtype):
        found[path] = value
        return
    if id(value) in seen or isinstance(value, types.GetSetDescriptorType):
        return
    seen.add(id(value))
    made_anew = isinstance(value, types.MethodType | tuple)
    content = next((of(value) for kinds, of in _CONTENTS if isinstance(value, kinds)), None)
    found[path] = (type(value).__qualname__, None if made_anew else id(value), content)
    held = next((of for kinds, of in _HOLDERS if isinstance(value, kinds)), _attributes)
    if content is None:
        for suffix, item in held(value):
            _describe(item, path + suffix, found, seen)


def _of_tensor(value: torch.Tensor) -> object:
    return value.requires_grad, value.is_leaf and value.grad is None, tuple(value.detach().flatten().tolist())


# What the state of an object is that no attribute of it shows.
_CONTENTS: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (torch.Tensor, _of_tensor),
    (torch.Generator, lambda value: tuple(value.get_state().tolist())),
    (random.Random, lambda value: value.getstate()),
    (itertools.count, repr),
    (types.GeneratorType, lambda value: str(value.gi_frame.f_locals.get("i"))),
    (collections.abc.Iterator, lambda value: value.__length_hint__() if hasattr(value, "__length_hint__") else None),
)


def _of_function(value: types.FunctionType) -> Iterator[tuple[str, object]]:
    yield ".defaults", value.__defaults__
    yield ".kwdefaults", value.__kwdefaults__
    yield from ((f".{name}", item) for name, item in vars(value).items())
    yield from ((f".cell{i}", cell.cell_contents) for i, cell in enumerate(value.__closure__ or ()))


def _of_mapping(value: collections.abc.Mapping[Any, object]) -> Iterator[tuple[str, object]]:
    for key, item in list(value.items()):
        yield f"[{key if isinstance(key, str | int) else id(key)!r}]", item


def _attributes(value: Any) -> Iterator[tuple[str, object]]:
    for kind in type(value).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(value, name):
                yield f".{name}", getattr(value, name)
    if hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType):
        yield "", vars(value)


_HOLDERS: tuple[tuple[Any, Callable[[Any], Iterable[tuple[str, object]]]], ...] = (
    (types.FunctionType, _of_function),
    (types.MethodType, lambda value: [(".self", value.__self__)]),
    (functools.partial, lambda value: [(f".{name}", getattr(value, name)) for name in ("func", "args", "keywords")]),
    (collections.abc.Mapping, _of_mapping),
    (
        (list, tuple, set, frozenset, collections.deque),
        lambda value: ((f"[{i}]", item) for i, item in enumerate(value)),
    ),
)
