"""Skips taken out: the plan, and the network without them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

from torch import nn

from skipstone.core.edit import Disconnect, DropOperand, Edits, MapOperand, ModuleSpec, ReplaceModule, Transform
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip, SkipKind
from skipstone.graphs.roles import JOINS
from skipstone.skips import find_skips
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live import modules
from skipstone.surgery.live.apply import carried_out, preview
from skipstone.surgery.live.join import Join
from skipstone.surgery.live.past import Record, outline
from skipstone.surgery.plans import channels
from skipstone.surgery.proof import check_ablated, outputs
from skipstone.surgery.site import site_of
from skipstone.tracing import trace

Which = str | int | Skip | Callable[[Skip], bool] | Iterable[str | int | Skip]
Concatenation = Literal["drop", "zero"]
Parameters = Literal["keep", "remove"]


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """Which skips go and by which edits. `removed` are modules that go, `idle` ones that stay without use."""

    skips: tuple[Skip, ...]
    edits: Edits
    removed: tuple[str, ...]
    idle: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.skips)} skip{'s' if len(self.skips) != 1 else ''} to take out"]
        lines += [f"  #{s.index} {s.kind} {s.merge}: {s.source} -> {s.target}" for s in self.skips]
        lines += [f"  removed with its parameters: {path}" for path in self.removed]
        lines += [f"  kept without use: {path}" for path in self.idle]
        return "\n".join(lines)


def ablate(
    model: nn.Module,
    which: Which,
    example: object,
    *,
    parameters: Parameters = "keep",
    cat: Concatenation = "drop",
    bridges: bool = False,
    copy: bool = True,
) -> nn.Module:
    """The network without some of its skips; the main branch stays.

    Args:
        which: "all" skip connections; or their kind ("projection"), index as `find_skips` counts them, glob of the
            module they end in ("layer1.*"), the `Skip` itself, a predicate on it, or several of these.
        example: an example input, as for `trace`.
        parameters: "keep" a removed projection's parameters in the state dict, unused, or "remove" them.
        cat: of a concatenation, "drop" the other operands and narrow the layers that read it, or put "zero" in their
            place and keep every shape.
        bridges: let "all" take out long skips with layers of their own on them, too.
        copy: leave the model as it is and change a copy.

    Raises:
        SurgeryError: nothing matches, a reader of a concatenation cannot be narrowed, or the record of the result is
            not that of the network without these skips; nothing is changed then.
    """
    wanted = _wanted(model, _with_bridges(which, bridges), example, parameters, cat)

    def prove(edited: nn.Module) -> Record:
        after = wanted.proven(edited, example)
        return Record(outline(example), outputs(wanted.before), outputs(after))

    return carried_out(model, wanted.plan.edits, copy=copy, prove=prove)


def plan_ablation(
    model: nn.Module,
    which: Which,
    example: object,
    *,
    parameters: Parameters = "keep",
    cat: Concatenation = "drop",
    bridges: bool = False,
) -> AblationPlan:
    """What `ablate` would do, checked by recording the network without the skips."""
    wanted = _wanted(model, _with_bridges(which, bridges), example, parameters, cat)
    wanted.proven(preview(model, wanted.plan.edits), example)
    return wanted.plan


def _with_bridges(which: Which, bridges: bool) -> Which:
    if not bridges or isinstance(which, int | Skip) or callable(which):
        return which
    several = [which] if isinstance(which, str) else list(which)
    return [*several, "bridge"] if "all" in several else several


@dataclass(frozen=True)
class _Wanted:
    """The record before, the plan, for each merge the operands that go, and merges of added skips that go whole."""

    before: Graph
    plan: AblationPlan
    gone: Mapping[int, tuple[int, ...]]
    same: Mapping[int, int]
    zeroed: bool

    def proven(self, edited: nn.Module, example: object) -> Graph:
        """The record of the edited network, which is the one before without these skips."""
        after = trace(edited, example)
        check_ablated(self.before, after, self.gone, zeroed=self.zeroed, same=self.same)
        return after


def _wanted(model: nn.Module, which: Which, example: object, parameters: Parameters, cat: Concatenation) -> _Wanted:
    if parameters not in get_args(Parameters):
        raise SurgeryError(f'parameters is {parameters!r}; "keep" or "remove"')
    if cat not in get_args(Concatenation):
        raise SurgeryError(f'cat is {cat!r}; "drop" or "zero"')
    graph = trace(model, example)
    chosen = select(find_skips(graph), which)
    edits: list[object] = []
    gone = {skip.merge_node: _positions(graph, skip) for skip in chosen}
    _check_runs_together(graph, gone)
    for skip in chosen:
        edits += _edits_of(graph, model, skip, gone[skip.merge_node], cat)
    if cat == "drop" and any(skip.merge == "cat" for skip in chosen):
        edits += channels.narrowed(graph, model, gone)
    cut = {(merge, position) for merge, positions in gone.items() for position in positions}
    idle = _idle(graph, model, cut) if not (cat == "zero" and any(s.merge == "cat" for s in chosen)) else ()
    removed = tuple(path for path in idle if modules.find(model, path) and parameters == "remove")
    edits += [ReplaceModule(path, ModuleSpec("Identity")) for path in removed]
    plan = AblationPlan(chosen, tuple(edits), removed, tuple(p for p in idle if p not in removed))  # type: ignore[arg-type]
    whole = {
        s.merge_node: graph[s.merge_node].inputs[0] for s in chosen if isinstance(modules.find(model, s.module), Join)
    }
    return _Wanted(graph, plan, gone, whole, cat == "zero")


def _check_runs_together(graph: Graph, gone: Mapping[int, tuple[int, ...]]) -> None:
    """An edit changes every run of a module, so a module that runs several times loses all its skips or none."""
    sites = {merge: site_of(graph, merge) for merge in gone if graph[merge].site is not None}
    for merge, site in sites.items():
        calls = [call for call in graph.calls if call.path == site.module]
        if len(calls) < 2:
            continue
        alike = [
            node.index
            for node in graph
            if node.kind == "op" and node.op == site.op and node.site == site.place and node.module == site.module
            and (site.occurrence is None or site_of(graph, node.index).occurrence == site.occurrence)
        ]  # fmt: skip
        if any(gone.get(other) != gone[merge] for other in alike):
            merges = [skip for skip in find_skips(graph) if skip.merge_node in alike]
            together = ", ".join(f"#{skip.index}" for skip in merges)
            raise SurgeryError(
                f"{site.module or 'the model'} runs {len(calls)} times and an edit changes every run: its skips at "
                f"{site.place} go together or not at all; they are {together}"
            )


def select(skips: Sequence[Skip], which: Which) -> tuple[Skip, ...]:
    """The skips that `which` means, in their order.

    Raises:
        SurgeryError: none, with the list of what there is.
    """
    wanted = _matcher(which)
    chosen = tuple(skip for skip in skips if wanted(skip))
    if chosen:
        return chosen
    blocks = [skip for skip in skips if skip.is_block_skip]
    if not blocks:
        others = f"; it has {len(skips)} merges of other kinds" if skips else ""
        raise SurgeryError(f"there is nothing to ablate: this network has no skip connection{others}")
    known = ", ".join(f"#{skip.index} {skip.target}" for skip in blocks[:8])
    more = f" and {len(blocks) - 8} more" if len(blocks) > 8 else ""
    raise SurgeryError(f"there is nothing to ablate: no skip matches {which!r}; there are {known}{more}")


def _matcher(which: Which) -> Callable[[Skip], bool]:
    if isinstance(which, Skip):
        return lambda skip: skip.merge_node == which.merge_node and skip.target == which.target
    if isinstance(which, str):
        if which == "all":
            return lambda skip: skip.is_block_skip and skip.kind != "bridge"
        if which in get_args(SkipKind):
            return lambda skip: skip.kind == which
        return lambda skip: skip.is_block_skip and (fnmatchcase(skip.target, which) or fnmatchcase(skip.module, which))
    if isinstance(which, int):
        return lambda skip: skip.index == which
    if callable(which):
        return which
    matchers = [_matcher(one) for one in which]
    return lambda skip: any(matches(skip) for matches in matchers)


def _positions(graph: Graph, skip: Skip) -> tuple[int, ...]:
    """Which operands of the merge go: of a concatenation all but the main branch, else the short one."""
    inputs = graph[skip.merge_node].inputs
    if skip.merge == "cat":
        return tuple(i for i, node in enumerate(inputs) if node != skip.main_operand)
    return (inputs.index(skip.short_operand),)


def _edits_of(graph: Graph, model: nn.Module, skip: Skip, gone: tuple[int, ...], cat: Concatenation) -> list[object]:
    node = graph[skip.merge_node]
    added = modules.find(model, node.module)
    if isinstance(added, Join):
        target, _, name = node.module.rpartition(".")
        return [Disconnect(target, name)]
    site = site_of(graph, node.index)
    if node.op in JOINS and cat == "zero" and skip.merge == "cat":
        return [MapOperand(site, position, Transform("zero")) for position in gone]
    edits: list[object] = [DropOperand(site, position) for position in gone]
    main = node.inputs.index(skip.main_operand)
    if node.op not in JOINS and graph[skip.main_operand].shape != node.shape:
        edits.insert(0, MapOperand(site, main, Transform("expand-like", like=gone[0])))
    elif node.op not in JOINS and _overwritten_later(graph, node.index):
        edits.insert(0, MapOperand(site, main, Transform("clone")))
    return edits


def _overwritten_later(graph: Graph, merge: int) -> bool:
    """Is a sum that has memory of its own overwritten later? What takes its place must have its own then, too."""
    node = graph[merge]
    if node.overwrites is not None:
        return False
    return any(
        o.overwrites is not None and o.storage == node.storage and o.index > merge for o in graph if o.storage >= 0
    )


def _idle(graph: Graph, model: nn.Module, cut: set[tuple[int, int]]) -> tuple[str, ...]:
    """The modules with parameters that no output depends on any more, outermost only."""
    alive: set[int] = set()
    pending = list(graph.outputs)
    while pending:
        index = pending.pop()
        if index in alive:
            continue
        alive.add(index)
        node = graph[index]
        pending += [i for position, i in enumerate(node.inputs) if (index, position) not in cut]
        if node.overwrites is not None:
            pending.append(node.overwrites)
    before = _used(graph, graph.outputs)
    idle: list[str] = []
    for call in graph.calls:
        inside = [i for i in range(call.first, call.last) if graph[i].kind == "op"]
        gone = inside and not alive.intersection(inside) and before.intersection(inside)
        inner = any(call.path.startswith(f"{other}.") or call.path == other for other in idle)
        if gone and call.path and not inner and any(True for _ in modules.find(model, call.path).parameters()):
            idle.append(call.path)
    runs = {path: [c for c in graph.calls if c.path == path] for path in idle}
    return tuple(path for path in idle if not any(alive.intersection(range(c.first, c.last)) for c in runs[path]))


def _used(graph: Graph, outputs: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    pending = list(outputs)
    while pending:
        index = pending.pop()
        if index not in seen:
            seen.add(index)
            pending += graph[index].inputs
    return seen
