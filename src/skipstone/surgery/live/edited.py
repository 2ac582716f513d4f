"""The class of an edited module: its own class with the edited functions in it, made for that one instance.

Nothing of the user's class changes. A function of a base class goes into a mixin that follows the module's own class
in the method resolution order, so that `super().forward(x)` reaches it. Copying and pickling keep the original class
and the edits, and make the class anew.
"""

import copyreg
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from torch import nn

from skipstone.core.graph import Place
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.handlers import SiteEdit, SiteHandler
from skipstone.surgery.live.locate import Location, Step, locate
from skipstone.surgery.live.replay import replaying
from skipstone.surgery.live.rewriting import rewritten, with_cell

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


def set_stages(module: nn.Module, stages: Stages) -> None:
    """Give one module instance the edits of `stages` and no others; with none it gets its own class back."""
    base = base_class(module)
    module.__class__ = edited_class(base, stages) if stages else base


def obstacle(module: nn.Module, place: Place) -> str:
    """Why the expression at a place cannot be rewritten for this module; empty where it can."""
    base = base_class(module)
    location = locate(base, place)
    if location is None:
        return f"{place.function} ({place}) is no function that {base.__name__} is seen to call"
    return _obstacle(location, place)


def edited_class(base: type[nn.Module], stages: Stages) -> type[nn.Module]:
    """A subclass of `base` whose sites do as `stages` say."""
    trees: dict[tuple[type, str], _Function] = {}
    replayed: dict[Place, SiteHandler] = {}
    for place, handler in _handlers(stages).items():
        location = locate(base, place)
        if location is None or not _rewritable(location, place):
            replayed[place] = handler
            continue
        root = trees.setdefault((location.owner, location.method), _Function(location.functions[0]))
        root.add(location, place, handler)
    methods: dict[type, dict[str, object]] = {}
    counted = bool(replayed)
    for (owner, method), tree in trees.items():
        local = _counts_locally(base, owner, method, tree)
        counted |= not local and tree.counts()
        methods.setdefault(owner, {})[method] = tree.attribute(vars(owner)[method], local)
    return _assembled(base, stages, methods, counted, replayed)


@dataclass
class _Function:
    """A function with sites in it, and the functions with sites that it refers to."""

    function: FunctionType
    handlers: dict[Place, SiteHandler] = field(default_factory=dict)
    further: dict[Step, "_Function"] = field(default_factory=dict)

    def add(self, location: Location, place: Place, handler: SiteHandler) -> None:
        here = self
        for step, function in zip(location.steps, location.functions[1:], strict=True):
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

    def remade(self, *, bind: bool, local: bool = False) -> FunctionType:
        """The function anew. Reached by a global name it is handed the module as an extra argument (`bind`)."""
        replaced = {s.name: f.remade(bind=True) for s, f in self.further.items() if s.through == "global"}
        new = self.function
        if self.handlers or replaced or bind:
            new = rewritten(self.function, self.handlers, replaced=replaced, bind=bind, local_runs=local)
        for step, inner in self.further.items():
            if step.through == "cell":
                if bind:
                    raise SurgeryError(
                        f"{self.function.__qualname__} is decorated: the module cannot be handed through"
                    )
                new = with_cell(new, step.name, inner.remade(bind=False))
        return new


def _handlers(stages: Stages) -> dict[Place, SiteHandler]:
    by_place: dict[Place, list[dict[int | None, tuple[SiteEdit, ...]]]] = {}
    for stage in stages:
        here: dict[Place, dict[int | None, tuple[SiteEdit, ...]]] = {}
        for edit in stage:
            runs = here.setdefault(edit.site.place, {})
            runs[edit.site.occurrence] = (*runs.get(edit.site.occurrence, ()), edit)
        for place, runs in here.items():
            by_place.setdefault(place, []).append(runs)
    return {place: SiteHandler(f"{place}:{place.column}", runs) for place, runs in by_place.items()}


def _rewritable(location: Location, place: Place) -> bool:
    return not _obstacle(location, place)


@functools.lru_cache(maxsize=4096)
def _obstacle(location: Location, place: Place) -> str:
    """Why the source at a place cannot be rewritten; empty where it can."""
    tree = _Function(location.functions[0])
    tree.add(location, place, SiteHandler("", ()))
    try:
        tree.attribute(vars(location.owner)[location.method], False)
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


def _assembled(
    base: type[nn.Module],
    stages: Stages,
    methods: Mapping[type, Mapping[str, object]],
    counted: bool,
    replayed: Mapping[Place, SiteHandler],
) -> type[nn.Module]:
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
        "_skipstone_runs": None,
    }
    try:
        cls: Any = type(base.__name__, (base, *_ordered(mixins)), namespace)
    except TypeError as error:
        raise SurgeryError(f"functions of {base.__name__} and of its base classes cannot be edited together") from error
    if replayed:
        cls.forward = replaying(cls.forward, replayed)
    if counted:
        cls.forward = _counting(cls.forward)
    made: type[nn.Module] = cls
    return made


def _ordered(mixins: Iterable[type]) -> list[type]:
    """Deeper classes first, as the method resolution order wants them."""
    return sorted(mixins, key=lambda mixin: -len(mixin.__mro__))


def _counting(forward: Any) -> Any:
    """Runs of a line are counted from 0 in each call of the module."""

    @functools.wraps(forward)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer = self._skipstone_runs
        self._skipstone_runs = {}
        try:
            return forward(self, *args, **kwargs)
        finally:
            self._skipstone_runs = outer

    return counted


def _reduce(self: nn.Module, protocol: Any) -> Any:
    """For copy and pickle: the class is made anew from the user's class and the edits."""
    base = base_class(self)
    reduced = super(type(self), self).__reduce_ex__(max(2, int(protocol)))
    if not isinstance(reduced, tuple) or reduced[0] is not copyreg.__newobj__:  # type: ignore[attr-defined]
        raise SurgeryError(f"{base.__name__} has its own way to be copied, which edits cannot follow")
    return (_remade, (base, stages_of(self)), *reduced[2:])


def _remade(base: type[nn.Module], stages: Stages) -> nn.Module:
    cls = edited_class(base, stages)
    return cls.__new__(cls)


def merged(stages: Stages, edits: Sequence[SiteEdit]) -> Stages:
    """The stages with one more for `edits`."""
    return (*stages, tuple(edits)) if edits else stages
