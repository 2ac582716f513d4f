"""Own error: the network's own code raises on this input.

What it finds:
    A `raise`, a failed `assert` or a Python error in the forward pass, in the network's own line or in the way it calls
    torch's modules: a missing attribute or `forward`, a list or None that is called, a tuple where a tensor is due. The
    note says what to do.
Why it matters:
    Nothing behind it was seen: the record is partial.
Example:
    `x + self.attn(x, x, x)`: `nn.MultiheadAttention` returns (output, weights).
Repair:
    `nn.Identity()` for a None among layers, `[0]` at the call that returned a tuple; else the note's words.
Effect of the repair:
    The pass goes on.
References:
    None.
"""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from inspect import signature

from torch import nn

from skipstone.checks.mending.tuples import name_of, one_taken, returning_several
from skipstone.checks.rule import Fault, Proposal, Rule, Where
from skipstone.checks.rules.nothing_returned import forgetful, forgetful_helper
from skipstone.checks.source import method, place_of
from skipstone.checks.subject import Subject
from skipstone.core.edit import ModuleSpec, ReplaceModule
from skipstone.core.graph import ModuleCall, Place, Stop
from skipstone.tracing.torch_internals import children_of

RULE = Rule("SK111", "own-error", "error", "the network's own code raises on this input", depends_on_size=True)

_CONTAINERS = (nn.ModuleList, nn.ModuleDict)
_TUPLE = re.compile(r"'tuple'|not tuple|\(tuple,|got tuple|return_types\.|concatenate tuple")


def check(subject: Subject) -> Iterator[Fault]:
    stop = subject.graph.stopped
    if stop is None or not stop.own or subject.graph.assumptions or subject.graph.failures:
        return
    if forgetful(subject) is not None or forgetful_helper(subject) is not None:
        return
    last = len(subject.graph) - 1
    module = subject.module_at(stop.module)
    place = stop.place or _forward_of(type(module))
    notes = next(([note] for advise in _ADVICE if (note := advise(subject, module, stop))), [])
    yield Fault(Where(last, stop.module, place), f"{stop.error}: {stop.message}", notes=tuple(notes))


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    path = fault.where.module
    holes = _holes(subject.module_at(path))
    if holes:
        edits = tuple(ReplaceModule(f"{path}.{name}".lstrip("."), ModuleSpec("Identity")) for name in holes)
        yield Proposal("nn.Identity() in place of None", edits, "the layer that is left out hands its input on")
    if _TUPLE.search(fault.message):
        yield from one_taken(subject)


def _forward_of(kind: type[nn.Module]) -> Place | None:
    forward = method(kind, "forward")
    return place_of(kind, "forward", forward) if forward is not None else None


def _holes(module: nn.Module) -> list[str]:
    """The names under which a row of layers holds None."""
    return (
        [name for name, child in children_of(module).items() if child is None]
        if isinstance(module, nn.Sequential)
        else []
    )


def _missing_attribute(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    found = re.search(r"'(\w+)' object has no attribute '(\w+)'", stop.message)
    if found is None or found[1] != type(module).__name__:
        return None
    has = [*dict(module.named_children()), *dict(module.named_parameters(recurse=False)), *vars(module)]
    near = get_close_matches(found[2], has, n=1, cutoff=0.5)
    return f"__init__ sets no `self.{found[2]}`{f'; there is `self.{near[0]}`' if near else ''}"


def _missing_forward(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    if 'is missing the required "forward"' not in stop.message:
        return None
    kind = type(module)
    if isinstance(module, _CONTAINERS):
        return f"a {kind.__name__} holds layers and cannot be called: loop over it, or make it an nn.Sequential"
    own = [name for base in kind.__mro__ if not base.__module__.startswith("torch.") for name in vars(base)]
    near = get_close_matches("forward", own, n=1, cutoff=0.7)
    return f"`{near[0]}` is misspelt: `forward`" if near else f"{kind.__name__} needs a method `forward(self, x)`"


def _wrong_count(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    found = re.search(r"\b(\w+)\.forward\(\) (takes|missing|got)", stop.message)
    if found is None:
        return None
    parameters = signature(type(module).forward).parameters
    if found[2] == "takes" and next(iter(parameters), "self") not in ("self", "args"):
        return f"forward has no `self`: write `def forward(self, {', '.join(parameters)})`"
    taken = ", ".join(str(parameter) for name, parameter in parameters.items() if name != "self")
    return f"it takes {found[1]}({taken})"


def _none_called(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    if "'NoneType' object is not callable" not in stop.message:
        return None
    if holes := _holes(module):
        return f"layer {holes[0]} of the Sequential is None: leave it out, or put nn.Identity() there"
    unset = [name for name, value in (*children_of(module).items(), *vars(module).items()) if value is None]
    mine = [name for name in unset if not name.startswith("_")]
    return (
        f"`self.{mine[0]}` is None: call it only where it is set, or make it nn.Identity()" if len(mine) == 1 else None
    )


def _uncallable(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    found = re.search(r"'(list|tuple|dict)' object is not callable", stop.message)
    return (
        f"a {found[1]} of layers cannot be called: make it an nn.Sequential, or loop over an nn.ModuleList"
        if found
        else None
    )


def _tuple_for_tensor(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    """The last module that returned several values, where a tuple stands for a tensor."""
    if not _TUPLE.search(stop.message):
        return None
    call = returning_several(subject)
    return _of_several(subject, call) if call is not None else None


def _of_several(subject: Subject, call: ModuleCall) -> str:
    module = subject.module_at(call.path)
    given = "several values"
    if isinstance(module, nn.MultiheadAttention):
        given = "(output, weights)"
    elif isinstance(module, nn.RNNBase):
        given = "(output, state)"
    return f"{name_of(module)} {call.path} returns {given}: take `[0]`"


def _class_for_module(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    """A layer's class that was called as if it were a layer: it made one."""
    made = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)]
    named = next((name for name in made if f"'{vars(module)[name].__name__}'" in stop.message), None)
    return f"`self.{named}` is a class, not a layer: {vars(module)[named].__name__}()" if named else None


def _unknown_name(subject: Subject, module: nn.Module, stop: Stop) -> str | None:
    found = re.search(r"name '(\w+)' is not defined", stop.message)
    return f"there is `self.{found[1]}`" if found and hasattr(module, found[1]) else None


# Each says what to do about one kind of mistake, None where it is another.
_ADVICE: tuple[Callable[[Subject, nn.Module, Stop], str | None], ...] = (
    _missing_attribute,
    _missing_forward,
    _wrong_count,
    _none_called,
    _uncallable,
    _tuple_for_tensor,
    _class_for_module,
    _unknown_name,
)
