"""Skips put in: the plan with its cost and its alternatives, and the network with the skip."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import get_args

from torch import nn

from skipstone.blocks.parts.steps import code
from skipstone.core.cost import Cost
from skipstone.core.edit import AtInit, Connect, ConnectMerge, Edit, Edits, ModuleSpec, WidenInput
from skipstone.core.errors import UnknownNameError
from skipstone.core.graph import Graph, ModuleCall, shape_text
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.costs import batch_of, cost
from skipstone.graphs.layout import Layout
from skipstone.shapes.arithmetic import SizeError
from skipstone.shapes.plan import Plan
from skipstone.shapes.reconcile import reconcile
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live import modules
from skipstone.surgery.live.apply import carried_out, preview
from skipstone.surgery.live.join import joins
from skipstone.surgery.live.past import Record, outline
from skipstone.surgery.plans.channels import widened
from skipstone.surgery.proof import check_connected, outputs
from skipstone.tracing import trace

INPUT = "input"  # how a plan calls the model's first input


@dataclass(frozen=True, slots=True)
class Connection:
    """One skip to be added: its ends, its shortcut by the planner's name, and the other shortcuts that would fit."""

    source: str
    target: str
    source_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    shortcut: str
    code: str
    alternatives: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """What `connect` would do. `cost` is exact, for one input: the network with the skips less the one without."""

    merge: ConnectMerge
    at_init: AtInit
    connections: tuple[Connection, ...]
    edits: Edits
    cost: Cost

    def __str__(self) -> str:
        lines = []
        for c in self.connections:
            lines.append(f"{c.source} {shape_text(c.source_shape)} -> {c.target} {shape_text(c.target_shape)}")
            lines.append(
                f"  merge: {self.merge}, " + ("output unchanged at first" if self.at_init == "zero" else "plain")
            )
            lines.append(f"  shortcut: {c.shortcut.replace('_', ' ')}" + (f": {c.code}" if c.code else ""))
            if c.alternatives:
                lines.append(f"  also possible: {', '.join(c.alternatives)}")
            lines += [f"  note: {note}" for note in c.notes]
        wider = [f"{e.module} by {e.count}" for e in self.edits if isinstance(e, WidenInput)]
        if wider:
            lines.append(f"layers widened: {', '.join(wider)}")
        return "\n".join([*lines, f"cost: {self.cost}, for one input"])


def connect(
    model: nn.Module,
    source: str | int,
    target: str | int,
    *,
    example: object,
    merge: ConnectMerge = "add",
    shortcut: str = "auto",
    at_init: AtInit = "zero",
    copy: bool = True,
) -> nn.Module:
    """The network with a skip from one module's output to that of another; `plan_connection` tells what it does.

    Args:
        source, target: dotted paths of modules, "input" for the model's first input as the source; `path@1` is the
            second run of a module that runs several times; globs that match equally many modules are paired in
            order; a number is a node of `trace(model, example)`.
        example: an example input, as for `trace`.
        merge: "add", "cat" (the layers that read it are widened), "mul", or "gate" (times the sigmoid).
        shortcut: how the shapes are reconciled: "auto", a name among the plan's alternatives ("projection",
            "avg_pool", ...), or a catalogue design ("resnet_a").
        at_init: "zero" keeps the output bit-equal until training changes it; "plain" adds the skip at full strength.
        copy: leave the model as it is and change a copy.

    Raises:
        SurgeryError: a skip that would close a loop or run backwards in time, ranks that cannot be merged, or a result
            whose record is not that of the network with this skip and nothing else; nothing is changed then.
        UnknownNameError: a path that the model does not have.
    """
    wanted = _wanted(model, source, target, merge, shortcut, at_init, example)

    def prove(edited: nn.Module) -> Record:
        after = trace(edited, example)
        check_connected(wanted.before, after, wanted.joins(model, edited))
        return Record(outline(example), outputs(wanted.before), outputs(after))

    return carried_out(model, wanted.edits, copy=copy, prove=prove)


def plan_connection(
    model: nn.Module,
    source: str | int,
    target: str | int,
    *,
    example: object,
    merge: ConnectMerge = "add",
    shortcut: str = "auto",
    at_init: AtInit = "zero",
) -> ConnectionPlan:
    """What `connect` would do, checked by recording the network with the skip."""
    wanted = _wanted(model, source, target, merge, shortcut, at_init, example)
    trial = preview(model, wanted.edits)
    after = trace(trial, example)
    check_connected(wanted.before, after, wanted.joins(model, trial))
    return ConnectionPlan(
        merge, at_init, wanted.connections, wanted.edits, (cost(after) - cost(wanted.before)).for_one(batch_of(after))
    )


@dataclass(frozen=True)
class _Wanted:
    """The record before, and for each skip its plan and the node where it starts; `edits` widen its readers too."""

    before: Graph
    connections: tuple[Connection, ...]
    edits: Edits
    starts: tuple[int, ...]

    def joins(self, model: nn.Module, edited: nn.Module) -> dict[str, tuple[Connect, int]]:
        """The path of each new `Join` in the edited network, with its edit and the node where it starts."""
        paths = {id(module): path for path, module in edited.named_modules()}
        edits = [edit for edit in self.edits if isinstance(edit, Connect)]
        found: dict[str, tuple[Connect, int]] = {}
        for edit, start in zip(edits, self.starts, strict=True):
            target = modules.find(edited, edit.target)
            old = joins(modules.find(model, edit.target)) if edited is not model else {}
            fresh = [paths[id(getattr(target, name))] for name in joins(target) if name not in old]
            path = next(path for path in fresh if path not in found)
            found[path] = edit, start
        return found


def _wanted(
    model: nn.Module, source: str | int, target: str | int, merge: ConnectMerge, shortcut: str, at_init: AtInit,
    example: object,
) -> _Wanted:  # fmt: skip
    if merge not in get_args(ConnectMerge):
        raise SurgeryError(f"merge is {merge!r}; one of {', '.join(get_args(ConnectMerge))}")
    if at_init not in get_args(AtInit):
        raise SurgeryError(f'at_init is {at_init!r}; "zero" or "plain"')
    graph = trace(model, example)
    ancestry = Ancestry(graph)
    edits: list[Edit] = []
    connections: list[Connection] = []
    starts: list[int] = []
    for start, end in _pairs(graph, model, source, target):
        _check_order(graph, ancestry, start, end)
        connection, edit = _planned(graph, start, end, merge, shortcut, at_init)
        connections.append(connection)
        edits.append(edit)
        starts.append(start.node)
        if merge == "cat":
            edits += widened(graph, model, end.node, connection.source_shape[edit.axis], edit.axis, at_init)
    return _Wanted(graph, tuple(connections), tuple(edits), tuple(starts))


# ---- the ends


@dataclass(frozen=True, slots=True)
class _End:
    """One end: a run of a module and the node of its (first) output; path "" with no call is the model's input."""

    path: str
    node: int
    call: ModuleCall | None
    occurrence: int | None

    @property
    def name(self) -> str:
        run = f"@{self.occurrence}" if self.occurrence is not None else ""
        return f"{self.path}{run}" if self.call is not None else INPUT


def _pairs(graph: Graph, model: nn.Module, source: str | int, target: str | int) -> Iterator[tuple[_End, _End]]:
    starts, ends = _paths(graph, source), _paths(graph, target)
    if len(starts) != len(ends):
        raise SurgeryError(
            f"{source!r} matches {len(starts)} modules and {target!r} {len(ends)}; globs are paired one to one"
        )
    for start, end in zip(starts, ends, strict=True):
        yield _end(graph, start), _innermost(graph, model, _end(graph, end))


def _innermost(graph: Graph, model: nn.Module, end: _End) -> _End:
    """A container's output is that of the last layer in it, which is where a skip can be joined."""
    while end.call is not None and isinstance(model.get_submodule(end.path), nn.Sequential | nn.ModuleDict):
        calls = [c for c in graph.calls if c.parent == end.call.index and c.outputs[:1] == (end.node,)]
        if not calls:
            raise SurgeryError(f"{end.path} is a container whose output is no layer's; name a layer within it")
        call = calls[-1]
        several = sum(other.path == call.path for other in graph.calls) > 1
        end = _End(call.path, end.node, call, call.occurrence if several else None)
    return end


def _paths(graph: Graph, text: str | int) -> list[str | int]:
    """The paths that a glob matches; anything else as it is."""
    if isinstance(text, int) or not re.search(r"[*?\[]", text):
        return [text]
    found = [path for path in graph.modules if path and fnmatchcase(path, text) and path.count(".") == text.count(".")]
    if not found:
        raise UnknownNameError("module", text, graph.modules)
    return list(found)


def _end(graph: Graph, text: str | int) -> _End:
    if isinstance(text, int):
        return _end_of_node(graph, text)
    path, _, run = text.partition("@")
    if path == INPUT and path not in graph.modules:
        return _End("", graph.inputs[0], None, None)
    if path not in graph.modules:
        raise UnknownNameError("module", path, [p for p in graph.modules if p])
    calls = [call for call in graph.calls if call.path == path]
    if not calls:
        raise SurgeryError(f"{path!r} does not run in this forward pass")
    if len(calls) > 1 and not run:
        raise SurgeryError(f"{path!r} runs {len(calls)} times; say which: {path}@0 to {path}@{len(calls) - 1}")
    if run and (not run.isdigit() or int(run) >= len(calls)):
        raise SurgeryError(f"{text!r}: {path!r} has the runs 0 to {len(calls) - 1}")
    call = calls[int(run or 0)]
    if not call.outputs:
        raise SurgeryError(f"{path!r} gives no tensor")
    return _End(path, call.outputs[0], call, int(run) if len(calls) > 1 else None)


def _end_of_node(graph: Graph, index: int) -> _End:
    """The module run whose output a recorded tensor is."""
    if not 0 <= index < len(graph):
        raise SurgeryError(f"there is no node {index}; the record has {len(graph)}, from 0")
    if index in graph.inputs[:1]:
        return _End("", index, None, None)
    calls = [call for call in graph.calls if call.outputs[:1] == (index,) and call.path]
    if not calls:
        node = graph[index]
        raise SurgeryError(
            f"node {index} ({node.op} in {node.module or 'forward'}) is no module's output; "
            "a skip joins outputs of modules"
        )
    call = max(calls, key=lambda c: c.path.count("."))
    several = sum(other.path == call.path for other in graph.calls) > 1
    return _End(call.path, index, call, call.occurrence if several else None)


def _check_order(graph: Graph, ancestry: Ancestry, start: _End, end: _End) -> None:
    if end.call is None:
        raise SurgeryError("a skip cannot end at the model's input: nothing runs before it")
    if start.node == end.node:
        raise SurgeryError(f"{start.name!r} and {end.name!r} are the same tensor: the skip would close a loop")
    if start.node < end.node:
        return
    if ancestry.leads_to(end.node, start.node):
        raise SurgeryError(
            f"a skip from {start.name} to {end.name} would close a loop: {start.name} is computed from {end.name}"
        )
    raise SurgeryError(f"a skip from {start.name} to {end.name} would run backwards in time: {end.name} runs first")


# ---- the shortcut


def _planned(
    graph: Graph, start: _End, end: _End, merge: ConnectMerge, shortcut: str, at_init: AtInit
) -> tuple[Connection, Connect]:
    source, target = graph[start.node].shape, graph[end.node].shape
    spec, name, alternatives = _shortcut(graph, start, end, merge, shortcut)
    overwritten = _overwritten_between(graph, start.node, end.node)
    notes = []
    if overwritten:
        notes.append(f"{start.name} is overwritten in place before {end.name} ends: the skip keeps a copy")
    if start.occurrence is not None or end.occurrence is not None:
        notes.append("an end of the skip is a module that runs several times; only the named run is connected")
    edit = Connect(
        start.path, end.path, merge, spec, at_init, source_occurrence=start.occurrence,
        target_occurrence=end.occurrence, clone=overwritten, axis=_feature_axis(graph, start, end),
    )  # fmt: skip
    text = "" if spec is None else str(spec)
    return Connection(start.name, end.name, source, target, name, text, alternatives, tuple(notes)), edit


def _shortcut(
    graph: Graph, start: _End, end: _End, merge: ConnectMerge, shortcut: str
) -> tuple[ModuleSpec | None, str, tuple[str, ...]]:
    source, target = graph[start.node].shape, graph[end.node].shape
    if merge == "cat" and len(source) == len(target) > 1:
        axis = _feature_axis(graph, start, end)
        target = (*target[:axis], source[axis], *target[axis + 1 :])
    if source == target and shortcut in ("auto", "identity"):
        return None, "identity", ()
    if len(source) != len(target) or len(source) < 2:
        raise SurgeryError(
            f"tensors of {len(source)} and {len(target)} axes cannot be merged: {start.name} gives "
            f"{shape_text(source)}, {end.name} gives {shape_text(graph[end.node].shape)}"
        )
    if source[0] != target[0]:
        raise SurgeryError(f"the first axis is the batch: {source[0]} and {target[0]} cannot be merged")
    if _feature_axis(graph, start, end) != 1:
        return _features_last(start, end, source, target, shortcut)
    return _by_planner(start, end, source, target, shortcut)


def _features_last(
    start: _End, end: _End, source: tuple[int, ...], target: tuple[int, ...], shortcut: str
) -> tuple[ModuleSpec, str, tuple[str, ...]]:
    """Tokens, or maps with the channels last: a linear layer over the last axis."""
    if source[1:-1] != target[1:-1]:
        raise SurgeryError(
            f"the token counts differ: {start.name} gives {shape_text(source)}, {end.name} gives {shape_text(target)}"
        )
    if shortcut not in ("auto", "projection"):
        raise SurgeryError(f'no shortcut {shortcut!r} for features on the last axis; possible: "projection"')
    return (
        ModuleSpec("Linear", {"in_features": source[-1], "out_features": target[-1], "bias": False}),
        "projection",
        (),
    )


def _by_planner(
    start: _End, end: _End, source: tuple[int, ...], target: tuple[int, ...], shortcut: str
) -> tuple[ModuleSpec | None, str, tuple[str, ...]]:
    try:
        plans = reconcile(source[1:], target[1:])
    except SizeError as error:
        raise SurgeryError(f"{start.name} to {end.name}: {error}") from error
    chosen = next((p for p in plans if shortcut in ("auto", p.name, p.design)), None)
    names = tuple(dict.fromkeys(p.name for p in plans))
    if chosen is None:
        possible = ", ".join(names) or "none"
        raise SurgeryError(f"no shortcut {shortcut!r} leads from {source[1:]} to {target[1:]}; possible: {possible}")
    return _spec(chosen), chosen.name, tuple(name for name in names if name != chosen.name)


def _spec(plan: Plan) -> ModuleSpec | None:
    if not plan.steps:
        return None
    return ModuleSpec("skipstone.blocks.parts.steps:shortcut_between", plan.arguments, code(plan) or "")


def _feature_axis(graph: Graph, start: _End, end: _End) -> int:
    last = channels_last(graph, start.node) or channels_last(graph, end.node)
    return len(graph[end.node].shape) - 1 if last else 1


def channels_last(graph: Graph, index: int) -> bool:
    """Does a tensor of three axes or more carry its features on the last one?"""
    rank = len(graph[index].shape)
    return rank >= 3 and Layout(graph).feature_axis(index) == rank - 1


def _overwritten_between(graph: Graph, start: int, end: int) -> bool:
    storage = graph[start].storage
    return storage >= 0 and any(
        node.overwrites is not None and node.storage == storage and start < node.index <= end for node in graph
    )
