"""The class of an edited module: its own class with the edited functions in it, made for that one instance.

Nothing of the user's class changes. A function of a base class goes into a mixin that follows the module's own class
in the method resolution order, so that `super().forward(x)` reaches it. Copying and pickling keep the original class
and the edits, and make the class anew.
"""

import copyreg
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from skipstone.core.graph import Place
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.handlers import Counter, SiteEdit, SiteHandler
from skipstone.surgery.live.held import Held, function_of, held_by, rebuilt, routes
from skipstone.surgery.live.locate import Location, Route, Step, locations
from skipstone.surgery.live.replay import replaying
from skipstone.surgery.live.rewriting import rewritten, with_cell
from skipstone.tracing.torch_internals import unfollowed

Stages = tuple[tuple[SiteEdit, ...], ...]  # one entry for each application of edits


def base_class(module: nn.Module) -> type[nn.Module]:
    """The user's own class of a module, edited or not."""
    return getattr(type(module), "_skipstone_base", type(module))


def own_copying(module: nn.Module) -> str:
    """The method by which the user's class is copied in its own way, if it has one: edits cannot follow there."""
    for owner in base_class(module).__mro__:
        if owner not in (nn.Module, object):
            for name in ("__deepcopy__", "__reduce__", "__reduce_ex__"):
                if name in vars(owner):
                    return name
    return ""


def stages_of(module: nn.Module) -> Stages:
    return stages_of_class(type(module))


def stages_of_class(cls: type) -> Stages:
    return getattr(cls, "_skipstone_stages", ())


def held_of_class(cls: type) -> Held:
    return getattr(cls, "_skipstone_held", Held())


def set_stages(module: nn.Module, stages: Stages) -> None:
    """Give one module instance the edits of `stages` and no others; with none it gets its own class back."""
    base = base_class(module)
    module.__class__ = base
    if stages:
        held = _held(module, {edit.site.place for stage in stages for edit in stage})
        module.__class__ = edited_class(base, stages, held)
        for name in held.names:
            getattr(module, name)  # made once, before torch's compiler asks: it could not follow the making


def obstacle(module: nn.Module, place: Place) -> str:
    """Why the expression at a place cannot be rewritten for this module; empty where it can."""
    base, held = base_class(module), held_by(module, (place,))
    if place in held.hooked:
        return f"{place.function} ({place}) is a hook"
    if place in held.deeper:
        return f"{place.function} ({place}) is held in a container or an object"
    found = locations(base, place)
    names = [name for name in held.names if routes(module.__dict__[name], (place,))]
    if not found and not names:
        return f"{place.function} ({place}) is no function that {base.__name__} is seen to call"
    reasons = [_obstacle(location, place) for location in found]
    reasons += [_obstacle_held(module, name, place) for name in names]
    return next(filter(None, reasons), "")


def _held(module: nn.Module, places: Set[Place]) -> Held:
    """What the instance holds; what it holds and cannot be rewritten counts as lying deeper."""
    held = held_by(module, places)
    stuck = {place for name in held.names for place in places if _obstacle_held(module, name, place)}
    return replace(held, deeper=held.deeper | stuck)


def edited_class(base: type[nn.Module], stages: Stages, held: Held) -> type[nn.Module]:
    """A subclass of `base` whose sites do as `stages` say, for an instance that holds what `held` says."""
    trees: dict[tuple[type, str], _Function] = {}
    watched: dict[Place, SiteHandler] = {}
    hooked: dict[Place, SiteHandler] = {}
    rest: dict[Place, SiteHandler] = {}
    counter: Counter = {}
    for place, handler in _handlers(stages, counter).items():
        found = locations(base, place)
        if place in held.hooked:
            hooked[place] = handler
        elif place in held.deeper or not (found or place in held.direct) or any(_obstacle(way, place) for way in found):
            watched[place] = handler
        else:
            rest[place] = handler
            for location in found:
                root = trees.setdefault((location.owner, location.method), _Function(location.functions[0]))
                root.add(tuple(zip(location.steps, location.functions[1:], strict=True)), place, handler)
    methods: dict[type, dict[str, object]] = {}
    counted = any(handler.counts for handler in (*watched.values(), *hooked.values()))
    for (owner, method), tree in trees.items():
        local = _counts_locally(base, owner, method, tree) and not held.names
        counted |= not local and tree.counts()
        methods.setdefault(owner, {})[method] = tree.attribute(vars(owner)[method], local)
    counted |= bool(held.names) and any(handler.counts for handler in rest.values())
    wrap = _wrapping(counter if counted else None, watched)
    own = methods.setdefault(base, {})
    own.update((name, held_property(name, rest, wrap if name == "forward" else None)) for name in held.names)
    cls = _assembled(base, stages, held, methods)
    if "forward" not in held.names:
        cls.forward = wrap(cls.forward)
    if hooked:
        cls.__call__ = replaying(cls.__call__, hooked)
    made: type[nn.Module] = cls
    return made


def _wrapping(counter: Counter | None, watched: Mapping[Place, SiteHandler]) -> Callable[[Any], Any]:
    """What is laid around a module's forward."""

    def wrap(forward: Any) -> Any:
        inner = replaying(forward, watched) if watched else forward
        return inner if counter is None else _counting(inner, counter)

    return wrap


def held_property(name: str, handlers: Mapping[Place, SiteHandler], wrap: Callable[[Any], Any] | None) -> property:
    """In place of an attribute that holds a function: the function edited, for the instance that asks for it."""
    made: dict[tuple[int, int], tuple[object, object, object]] = {}

    def get(self: nn.Module) -> object:
        if name not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = self.__dict__[name]
        key = (id(self), id(value))
        if key not in made:  # both are kept with it: an id is only as good as the life of its object
            made[key] = (self, value, _edited_value(self, value, handlers, wrap))
        return made[key][2]

    def set_(self: nn.Module, value: object) -> None:
        self.__dict__[name] = value

    def delete(self: nn.Module) -> None:
        del self.__dict__[name]

    return property(unfollowed(get), set_, delete)


def _edited_value(
    module: nn.Module, value: object, handlers: Mapping[Place, SiteHandler], wrap: Callable[[Any], Any] | None
) -> object:
    new = value
    if found := routes(value, handlers):
        function = function_of(value)
        assert function is not None
        tree = _Function(function)
        for place, way in found.items():
            tree.add(way, place, handlers[place])
        new = rebuilt(value, tree.remade(bind=False, holder=module))
    if wrap is None:
        return new

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return new(*args, **kwargs)  # type: ignore[operator]

    return MethodType(wrap(forward), module)


@dataclass
class _Function:
    """A function with sites in it, and the functions with sites that it refers to."""

    function: FunctionType
    handlers: dict[Place, SiteHandler] = field(default_factory=dict)
    further: dict[Step, "_Function"] = field(default_factory=dict)

    def add(self, way: Route, place: Place, handler: SiteHandler) -> None:
        here = self
        for step, function in way:
            here = here.further.setdefault(step, _Function(function))
        here.handlers[place] = handler

    def counts(self) -> bool:
        return any(h.counts for h in self.handlers.values()) or any(f.counts() for f in self.further.values())

    def attribute(self, attribute: object, local: bool) -> object:
        """What takes the place of a class's attribute. A static method becomes an ordinary one: it needs the module."""
        new = self.remade(bind=isinstance(attribute, staticmethod), local=local)
        if isinstance(attribute, property):
            return attribute.getter(new)
        return classmethod(new) if isinstance(attribute, classmethod) else new

    def remade(self, *, bind: bool, holder: object = None, local: bool = False) -> FunctionType:
        """The function anew. Reached by a global name it is handed the module as an extra argument (`bind`)."""
        named = {step.name: inner for step, inner in self.further.items() if step.through == "global"}
        replaced = {name: inner.remade(bind=holder is None, holder=holder) for name, inner in named.items()}
        new = self.function
        if self.handlers or replaced or bind:
            new = rewritten(self.function, self.handlers, replaced=replaced, bind=bind, holder=holder, local_runs=local)
        for step, inner in self.further.items():
            if step.through == "cell":
                if bind:
                    raise SurgeryError(
                        f"{self.function.__qualname__} is decorated: the module cannot be handed through"
                    )
                new = with_cell(new, step.name, inner.remade(bind=False, holder=holder))
        return new


def _handlers(stages: Stages, counter: Counter) -> dict[Place, SiteHandler]:
    by_place: dict[Place, list[dict[int | None, tuple[SiteEdit, ...]]]] = {}
    for stage in stages:
        here: dict[Place, dict[int | None, tuple[SiteEdit, ...]]] = {}
        for edit in stage:
            runs = here.setdefault(edit.site.place, {})
            runs[edit.site.occurrence] = (*runs.get(edit.site.occurrence, ()), edit)
        for place, runs in here.items():
            by_place.setdefault(place, []).append(runs)
    return {place: SiteHandler(f"{place}:{place.column}", runs, counter) for place, runs in by_place.items()}


@functools.lru_cache(maxsize=4096)
def _obstacle(location: Location, place: Place) -> str:
    """Why the source at a place cannot be rewritten; empty where it can."""
    tree = _Function(location.functions[0])
    tree.add(tuple(zip(location.steps, location.functions[1:], strict=True)), place, SiteHandler("", (), {}))
    try:
        tree.attribute(vars(location.owner)[location.method], False)
    except SurgeryError as error:
        return str(error)
    return ""


def _obstacle_held(module: nn.Module, name: str, place: Place) -> str:
    try:
        _edited_value(module, module.__dict__[name], {place: SiteHandler("", (), {})}, None)
    except SurgeryError as error:
        return str(error)
    return ""


def _counts_locally(base: type, owner: type, method: str, tree: _Function) -> bool:
    """Can runs be counted by a variable of the function? Where it is the module's `forward`, run once in each call."""
    name = tree.function.__code__.co_qualname
    inside = all(place.function == name or place.function.endswith("comp>") for place in tree.handlers)
    return (
        method == "forward" and not tree.further and inside and getattr(base, "forward", None) is vars(owner)["forward"]
    )


def _assembled(base: type[nn.Module], stages: Stages, held: Held, methods: Mapping[type, Mapping[str, object]]) -> Any:
    own = dict(methods.get(base, {}))
    mixins = tuple(type(owner.__name__, (owner,), dict(new)) for owner, new in methods.items() if owner is not base)
    namespace = {
        **own,
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce,
        "_skipstone_base": base,
        "_skipstone_stages": stages,
        "_skipstone_held": held,
    }
    try:
        return type(base.__name__, (base, *_ordered(mixins)), namespace)
    except TypeError as error:
        raise SurgeryError(f"functions of {base.__name__} and of its base classes cannot be edited together") from error


def _ordered(mixins: Iterable[type]) -> list[type]:
    """Deeper classes first, as the method resolution order wants them."""
    return sorted(mixins, key=lambda mixin: -len(mixin.__mro__))


def _counting(forward: Any, counter: Counter) -> Any:
    """Runs of a line are counted from 0 in each call of the module."""

    @functools.wraps(forward)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer = counter.get(id(self))
        counter[id(self)] = {}
        try:
            return forward(self, *args, **kwargs)
        finally:
            counter[id(self)] = outer

    return counted


def _reduce(self: nn.Module, protocol: Any) -> Any:
    """For copy and pickle: the class is made anew from the user's class and the edits."""
    base = base_class(self)
    reduced = super(type(self), self).__reduce_ex__(max(2, int(protocol)))
    if not isinstance(reduced, tuple) or reduced[0] is not copyreg.__newobj__:  # type: ignore[attr-defined]
        raise SurgeryError(f"{base.__name__} has its own way to be copied, which edits cannot follow")
    return (_remade, (base, stages_of(self), held_of_class(type(self))), *reduced[2:])


def _remade(base: type[nn.Module], stages: Stages, held: Held) -> nn.Module:
    cls = edited_class(base, stages, held)
    return cls.__new__(cls)


def merged(stages: Stages, edits: Sequence[SiteEdit]) -> Stages:
    """The stages with one more for `edits`."""
    return (*stages, tuple(edits)) if edits else stages
