"""Fixed table: a learned table of fixed length meets another number of tokens.

What it finds:
    An addition of activations and a parameter or buffer (a position table) whose lengths differ; a table may have fewer
    axes. And an embedding of positions counted by `arange` that has fewer rows than there are positions.
Why it matters:
    The table was made for one input size; every other size fails, or needs the table resampled.
Example:
    A vision transformer for 32x32 images (65 positions) on a 16x16 image (17 tokens).
Repair:
    The table interpolated to the tokens: as a map where the tokens are a map's places, whatever stands before them.
Effect of the repair:
    A table of another length is another parameter: trained values must be resampled.
References:
    Dosovitskiy et al. 2020, An Image is Worth 16x16 Words, 2010.11929, section 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import nn

from skipstone.checks.failures import failing, is_table, operands
from skipstone.checks.mending.grids import Grid, grid_of, table_grid
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, ReplaceModule, Transform
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.graphs.operations import names
from skipstone.graphs.walks import readers
from skipstone.sizes.unseen import Reach, reach
from skipstone.surgery import site_of

RULE = Rule(
    "SK106",
    "fixed-table",
    "error",
    "a learned table of fixed length meets another number of tokens",
    depends_on_size=True,
)

_AROUND = names("transparent", "norm", "keeps largest")


@dataclass(frozen=True, kw_only=True)
class Short(Fault):
    """`table`: its node. `rows`: how many a lookup would need, 0 if no number will do; None: it is added."""

    table: int
    rows: int | None = None


def check(subject: Subject) -> Iterator[Short]:
    graph = subject.graph
    for node in failing(subject, "fixed-table"):
        table = next(graph[i] for i in node.inputs if is_table(subject, i))
        other = next((graph[i] for i in node.inputs if i != table.index), table)
        name = f" {table.name}" if table.name else ""
        message = (
            f"the table{name} {shape_text(table.shape)} was made for another size: {shape_text(other.shape)} meets it"
        )
        yield Short(at(node), message, operands(node), table=table.index)
    for node in graph:
        found = reach(graph.nodes, node) if not node.tainted and node.failure is None else None
        if found is not None and (found.below or found.beyond):
            yield _run_past(graph, node, found)


def _run_past(graph: Graph, node: Node, found: Reach) -> Short:
    table, positions = graph[found.table], graph[found.index]
    rows, last = positions.shape[-1], int(np.asarray(found.last))
    which = f"the {rows} positions run past it" if last == rows - 1 else f"positions {found.first}..{last} run past it"
    message = f"the table {table.name} has {table.shape[0]} rows: {which}"
    needed = 0 if found.below else last + 1
    return Short(at(node), message, (positions.shape, table.shape), table=table.index, rows=needed)


def repairs(subject: Subject, fault: Short) -> Iterator[Proposal]:
    """The table resampled to the tokens that arrive; of an embedding, one with more rows."""
    node = subject.graph[fault.where.node]
    module = subject.module_at(node.module)
    if fault.rows is not None:
        yield from _lookup_as_map(subject, node)
    if fault.rows and type(module) is nn.Embedding:
        spec = ModuleSpec("Embedding", {"num_embeddings": fault.rows, "embedding_dim": module.embedding_dim})
        yield Proposal(f"{node.module} = {spec}", (ReplaceModule(node.module, spec),), "a row for each position")
    if fault.rows is not None or fault.table not in node.inputs[:2]:
        return
    position = node.inputs.index(fault.table)
    shapes = [subject.graph[i].shape for i in node.inputs[:2]]
    ranks = [len(shape) for shape in shapes]
    # Of unequal ranks the axes are counted from the right, as torch does.
    shared = range(1, ranks[0]) if ranks[0] == ranks[1] else range(-min(ranks), 0)
    axes = tuple(a for a in shared if shapes[0][a] != shapes[1][a] and shapes[position][a] != 1)
    if len(axes) == 1 and len(shapes[1 - position]) == 3 and axes[0] in (1, -2):
        yield from _as_map(subject, node, position, axes[0], node.inputs[1 - position])
    change = Transform("interpolate-like", like=1 - position, arguments={"axes": axes})
    edit = MapOperand(site_of(subject.graph, node.index), position, change)
    yield Proposal(
        "resample the table to the number of tokens",
        (edit,),
        "every size becomes legal; the table's own stays as trained",
        keeps_output=True,
    )


def _as_map(subject: Subject, node: Node, position: int, axis: int, tokens: int) -> Iterator[Proposal]:
    """Positions of tokens that are the places of a map, interpolated as a map: a stretched list shears its rows."""
    wanted = grid_of(subject, tokens, axis)
    made = wanted and table_grid(subject, node.inputs[position], axis, wanted)
    if made and wanted:
        yield _interpolated(subject, node, position, (axis, axis), made, wanted)


def _lookup_as_map(subject: Subject, node: Node) -> Iterator[Proposal]:
    """The same for rows that an embedding looks up, by the tokens that they are added to."""
    found = next((reader for reader in readers(subject.graph, node.index, _AROUND) if reader.op == "add"), None)
    others = [i for i in found.inputs if not subject.ancestry.leads_to(node.index, i)] if found is not None else []
    wanted = grid_of(subject, others[0], 1) if others and len(subject.graph[others[0]].shape) == 3 else None
    made = wanted and table_grid(subject, node.inputs[1], 0, wanted)
    if made and wanted and wanted.first + wanted.rows * wanted.columns == subject.graph[node.inputs[0]].shape[-1]:
        yield _interpolated(subject, node, 1, (0, -1), made, wanted)


def _interpolated(
    subject: Subject, node: Node, position: int, axes: tuple[int, int], made: Grid, wanted: Grid
) -> Proposal:
    grid = (made.first, made.rows, made.columns, wanted.rows, wanted.columns)
    change = Transform("interpolate-grid-like", like=1 - position, arguments={"axes": axes, "grid": grid})
    first = f", its first {made.first} kept" if made.first else ""
    return Proposal(
        f"interpolate the table's {made} places to {wanted}{first}",
        (MapOperand(site_of(subject.graph, node.index), position, change),),
        "every size becomes legal; the table's own stays as trained",
        keeps_output=True,
    )
