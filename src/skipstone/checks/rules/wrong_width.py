"""Wrong width: a layer meets another number of features than it was made for.

What it finds:
    A convolution, linear layer, norm or recurrent layer whose weight does not fit its input's channels or features.
    Where an earlier concatenation along another axis (or of a stack) would have given the right width, that is named as
    the cause.
Why it matters:
    After a concatenation the next layer must be as wide as all operands together; a flatten fixes the input's size.
Example:
    `Linear(32 * 8 * 8, 10)` behind one 2x2 pool of a 32x32 image: 8,192 features meet 2,048.
Repair:
    A layer made for the width that arrives, or a projection before it.
Effect of the repair:
    The layer's weights are new; its parameters grow or shrink with its width.
References:
    Huang et al. 2016, DenseNet, 1608.06993, section 3 (k0 + l*k channels behind l concatenations).
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from skipstone.checks.around import owner
from skipstone.checks.failures import failing, operands
from skipstone.checks.ledger import label
from skipstone.checks.mending.origins import made_by
from skipstone.checks.mending.widths import layer_of_output, layer_of_width, projection
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, ReplaceModule, SetArgument, Transform
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import has_role, names
from skipstone.graphs.roles import CONV
from skipstone.surgery import site_of

RULE = Rule(
    "SK103",
    "wrong-width",
    "error",
    "a layer meets another number of features than it was made for",
    depends_on_size=True,
)
_MAX_NAMED = 4
_MANY = 3  # instances of a class, each of whose one layer is off by its own numbers: the design is wrong, once
_RECURRENT = names("recurrent")
_PASSES = names("transparent", "resample", "rectifier", "norm", "averaging") | {"sum"}


@dataclass(frozen=True)
class Reader:
    """A layer's node, made for `wanted` features, that meets `got`."""

    layer: int
    wanted: int
    got: int


@dataclass
class _Slip:
    """The layers that do not fit, the makers of their features, and the tensor that holds these."""

    makers: frozenset[int]
    source: int
    readers: list[Reader]

    def holds(self, makers: frozenset[int], source: int, reader: Reader) -> bool:
        """Is it this slip again: as many features too few or too many, of the same makers or in the same tensor?"""
        first = self.readers[0]
        same = bool(self.makers) and self.makers <= makers
        return reader.wanted - reader.got == first.wanted - first.got and (
            same or (source, reader.got) == (self.source, first.got)
        )


@dataclass(frozen=True, kw_only=True)
class Width(Fault):
    """One slip of width: the `readers` that do not fit, and the `makers` of the features, as far as known."""

    readers: tuple[Reader, ...]
    makers: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Misjoined(Fault):
    """`layer`: the layer behind a concatenation or stack that is due along `features`."""

    layer: int
    features: int


def check(subject: Subject) -> Iterator[Fault]:
    slips: list[_Slip] = []
    for node in failing(subject, "wrong-width"):
        wanted, got = widths(subject.graph, node)
        cause = _misjoined(subject, node, wanted) if wanted is not None else None
        if cause is not None:
            yield _misjoined_fault(subject, cause, node, wanted)
        elif wanted is None or got is None or wanted == got:
            yield Fault(at(node), _message(subject.graph, node, wanted, got), operands(node))
        else:
            _sort_in(slips, subject, Reader(node.index, wanted, got))
    instances = [_instance(subject.graph, slip) for slip in slips]
    faults = [_width_fault(subject, slip, instance) for slip, instance in zip(slips, instances, strict=True)]
    yield from _joined(faults, instances)


def _sort_in(slips: list[_Slip], subject: Subject, reader: Reader) -> None:
    index = subject.graph[reader.layer].inputs[0]
    makers, source = made_by(subject, index), _source(subject.graph, index)
    for slip in slips:
        if slip.holds(makers, source, reader):
            slip.readers.append(reader)
            return
    slips.append(_Slip(makers, source, [reader]))


def _source(graph: Graph, index: int) -> int:
    """Where a tensor's features stand first: before what keeps them."""
    while graph[index].kind == "op" and graph[index].op in _PASSES and graph[index].inputs:
        index = graph[index].inputs[0]
    return index


def _joined(faults: list[Width], instances: list[Hashable | None]) -> Iterator[Width]:
    """The faults; those of one layer in many instances of a class, with numbers of their own, have one cause."""
    told = list(zip(faults, instances, strict=True))
    numbers = {(instance, fault.readers[0].wanted, fault.readers[0].got) for fault, instance in told}
    times = Counter(instance for instance, *_ in numbers if instance is not None)
    for fault, instance in told:
        yield replace(fault, cause=instance) if times[instance] >= _MANY else fault


def _width_fault(subject: Subject, slip: _Slip, instance: Hashable | None) -> Width:
    graph, makers, readers = subject.graph, slip.makers, slip.readers
    first = readers[0]
    node = graph[first.layer]
    notes = []
    if len(makers) == 1:
        maker = graph[next(iter(makers))]
        notes.append(f"the features come from {label(graph, maker)}{f' ({maker.place})' if maker.place else ''}")
    if len(readers) > 1:
        others = list(dict.fromkeys(graph[reader.layer].module or graph[reader.layer].op for reader in readers[1:]))
        more = f" and {len(others) - _MAX_NAMED} more" if len(others) > _MAX_NAMED else ""
        notes.append(f"the same {abs(first.wanted - first.got)} at {', '.join(others[:_MAX_NAMED])}{more}")
    message = _message(graph, node, first.wanted, first.got)
    cause: Hashable = (instance, first.wanted, first.got)
    if len(readers) > 1 or instance is None:
        cause = (makers, first.wanted - first.got) if makers else (node.inputs[:1], first.wanted)
    return Width(
        at(node), message, operands(node), notes=tuple(notes), cause=cause, readers=tuple(readers), makers=makers
    )


def _instance(graph: Graph, slip: _Slip) -> Hashable | None:
    """What the same layers of another instance of their class have in common with these; None where no block holds them
    all."""
    nodes = [graph[reader.layer] for reader in slip.readers]
    holder, place = owner(graph, nodes[0]), nodes[0].place
    info = graph.modules.get(holder)
    if not holder or info is None or place is None or any(owner(graph, node) != holder for node in nodes):
        return None
    return info.module, info.type, tuple(node.module.removeprefix(holder) for node in nodes), place


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """Another axis for the concatenation where that is the cause, else another width for its maker or its readers."""
    if isinstance(fault, Misjoined):
        yield from _rejoined(subject, fault)
    elif isinstance(fault, Width):
        yield from _transposed(subject, fault)
        single = len({subject.graph[reader.layer].module for reader in fault.readers}) == 1
        if not single:
            yield from _remade(subject, fault)
        yield from _refitted(subject, fault)
        yield from _projected(subject, fault)
        if single:
            yield from _remade(subject, fault)


def _transposed(subject: Subject, fault: Width) -> Iterator[Proposal]:
    """The weight of another layer, read the other way round: a decoder tied to its encoder."""
    graph = subject.graph
    for reader in fault.readers:
        node = graph[reader.layer]
        weight = graph[node.inputs[1]]
        if node.op != "linear" or weight.name.rpartition(".")[0] == node.module or weight.shape[0] != reader.got:
            return
        edit = MapOperand(site_of(graph, node.index), 1, Transform("permute", arguments={"dims": (1, 0)}))
        yield Proposal(f"{weight.name}.t() as the weight", (edit,), "the layer it is tied to, the other way round")


def _remade(subject: Subject, fault: Width) -> Iterator[Proposal]:
    """The one layer that made the features, with as many as its readers want."""
    if len(fault.makers) != 1:
        return
    first, maker = fault.readers[0], subject.graph[next(iter(fault.makers))]
    if {i for reader in fault.readers for i in subject.graph[reader.layer].inputs[1:]} & {*maker.inputs[1:]}:
        return  # a reader tied to it would change with it
    width = maker.shape[_features_out(maker)] + first.wanted - first.got
    spec = layer_of_output(subject.module_at(maker.module), width)
    if spec is not None:
        edit = ReplaceModule(maker.module, spec)
        yield Proposal(f"{maker.module} = {spec}", (edit,), f"it gives the {width} that the layers behind it want")


def _features_out(maker: Node) -> int:
    return -1 if maker.op == "linear" else 1


def _refitted(subject: Subject, fault: Width) -> Iterator[Proposal]:
    """Every reader made for what arrives."""
    edits, titles = {}, []
    for reader in fault.readers:
        path = subject.graph[reader.layer].module
        spec = layer_of_width(subject.module_at(path), reader.got)
        if spec is None:
            return
        edits[path] = ReplaceModule(path, spec)
        titles.append(f"{path} = {spec}")
    more = f", {titles[1]}" if len(edits) == 2 else f" and {len(edits) - 1} more so" if len(edits) > 2 else ""
    kind = subject.graph.modules[next(iter(edits))].type
    effect = f"{kind} made for the {fault.readers[0].got} that arrive"
    yield Proposal(titles[0] + more, tuple(edits.values()), effect)


def _projected(subject: Subject, fault: Width) -> Iterator[Proposal]:
    first = fault.readers[0]
    node = subject.graph[first.layer]
    before = projection(first.got, first.wanted, len(subject.graph[node.inputs[0]].shape), node.op)
    if before is not None:
        edit = MapOperand(site_of(subject.graph, node.index), 0, Transform("module", before))
        yield Proposal(f"{before} before {node.module or node.op}", (edit,), "the layer and its weights stay")


def _rejoined(subject: Subject, fault: Misjoined) -> Iterator[Proposal]:
    join, axis = subject.graph[fault.where.node], fault.features
    if join.op == "cat":
        edit = SetArgument(site_of(subject.graph, join.index), "dim", axis)
        yield Proposal(f"concatenate along axis {axis}", (edit,), "the next layer gets the width it was made for")
    elif join.argument("dim", 0) == axis:
        # The stack's own axis joined with the features' behind it: what a concatenation would have given.
        spec = ModuleSpec("Flatten", {"start_dim": axis, "end_dim": axis + 1})
        flat = MapOperand(site_of(subject.graph, fault.layer), 0, Transform("module", spec))
        yield Proposal(
            f"{spec} behind the stack (or torch.cat(..., {axis}) in its place)",
            (flat,),
            "the stacked maps stand side by side in the features",
        )


def widths(graph: Graph, node: Node) -> tuple[int | None, int | None]:
    """The features a failed layer wants, and those it gets; None where its kind does not tell."""
    if len(node.inputs) < 2:
        return None, None
    source, weight = graph[node.inputs[0]].shape, graph[node.inputs[1]].shape
    groups = node.argument("groups", 1)
    if node.op in CONV and isinstance(groups, int):
        axis = 1 if len(source) == len(weight) else 0
        return (weight[0] if "transpose" in node.op else weight[1] * groups), source[axis]
    if node.op == "linear":
        return weight[-1], source[-1]
    if has_role(node, "norm") and has_role(node, "features first") and len(source) > 1:
        return weight[0], source[1]
    if node.op in ("layer_norm", "rms_norm"):
        return weight[-1], source[-1]
    if node.op == "prelu" and len(source) > 1:
        return weight[0], source[1]
    if node.op in _RECURRENT:
        weights = [graph[i] for i in node.inputs[1:] if graph[i].kind == "parameter" and len(graph[i].shape) == 2]
        return (weights[0].shape[1], source[-1]) if weights else (None, None)
    return None, None


def _message(graph: Graph, node: Node, wanted: int | None, got: int | None) -> str:
    info = graph.modules.get(node.module)
    name = f"{info.type} {node.module}" if info and node.module and info.module.startswith("torch.nn") else node.op
    if wanted is None or wanted == got:
        return f"{name} does not fit its input: {node.failure.message if node.failure else ''}"
    return f"{name} is made for {wanted} features and meets {got}"


def _misjoined(subject: Subject, node: Node, wanted: int) -> Node | None:
    """The concatenation before the layer that would have given the wanted width along the features' axis."""
    graph, layout = subject.graph, subject.layout
    index = node.inputs[0]
    while True:
        source = graph[index]
        if source.op == "stack" and source.failure is None:
            axis = layout.feature_axis(source.inputs[0])
            return source if axis is not None and sum(graph[i].shape[axis] for i in source.inputs) == wanted else None
        if source.op == "cat" and source.failure is None:
            features = layout.feature_axis(source.inputs[0])
            dim = source.argument("dim", 0)
            rank = len(source.shape)
            if features is None or not isinstance(dim, int) or dim % rank == features:
                return None
            return source if sum(graph[i].shape[features] for i in source.inputs) == wanted else None
        if source.kind != "op" or source.op not in _PASSES or not source.inputs:
            return None
        index = source.inputs[0]


def _misjoined_fault(subject: Subject, cause: Node, node: Node, wanted: int | None) -> Misjoined:
    features = subject.layout.feature_axis(cause.inputs[0])
    assert features is not None  # _misjoined counted along it
    shapes = tuple(subject.graph[i].shape for i in cause.inputs)
    behind = f"{node.module or node.op} behind it is made for {wanted} features"
    if cause.op == "stack":
        message = f"stacked along a new axis, but {behind}: a concatenation along axis {features} would give them"
    else:
        message = f"concatenated along axis {cause.argument('dim', 0)}, but {behind}: axis {features} would give them"
    return Misjoined(at(cause), message, shapes, layer=node.index, features=features)
