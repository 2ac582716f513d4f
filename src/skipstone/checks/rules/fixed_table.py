"""Fixed table: a learned table of fixed length meets another number of tokens.

What it finds:
    An addition of activations and a parameter or buffer (a position table) whose lengths differ; a table may have fewer
    axes. And an embedding of positions counted by `arange` that has fewer rows than there are positions.
Why it matters:
    The table was made for one input size; every other size fails, or needs the table resampled.
Example:
    A vision transformer for 32x32 images (65 positions) on a 16x16 image (17 tokens).
Repair:
    The input size that the table was made for, or a table of the new length (interpolated from the old one).
Effect of the repair:
    A table of another length is another parameter: trained values must be resampled.
References:
    Dosovitskiy et al. 2020, An Image is Worth 16x16 Words, 2010.11929, section 3.2.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, finding, is_table
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.sizes.unseen import past_table

RULE = Rule(
    "SK106",
    "fixed-table",
    "error",
    "a learned table of fixed length meets another number of tokens",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    for node in failing(subject, "fixed-table"):
        table = next(graph[i] for i in node.inputs if is_table(subject, i))
        other = next((graph[i] for i in node.inputs if i != table.index), table)
        name = f" {table.name}" if table.name else ""
        yield finding(
            node,
            f"the table{name} {shape_text(table.shape)} was made for another size: {shape_text(other.shape)} meets it",
            data={"table": table.index},
        )
    for node in graph:
        if node.op == "embedding" and not node.tainted and node.failure is None and _runs_past(graph, node):
            table, positions = graph[node.inputs[1]], graph[node.inputs[0]]
            yield finding(
                node,
                f"the table {table.name} has {table.shape[0]} rows: the {positions.shape[-1]} positions run past it",
                operands=(positions.shape, table.shape),
                data={"rows": positions.shape[-1]},
            )


def _runs_past(graph: Graph, node: Node) -> bool:
    found = past_table(graph.nodes, node)
    return found is not None and bool(found[0])
