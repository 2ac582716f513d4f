"""Too small: a map is smaller than the window, padding or pooling laid on it.

What it finds:
    A convolution, pooling, unfolding or padding whose window does not fit into the map that reaches it.
Why it matters:
    Every halving on the way takes its toll: small inputs vanish before the last stage.
Example:
    A 2x2 pool of a 1x1 map; a reflection padding of 1 on a map of one pixel.
Repair:
    A larger input, or fewer reductions before. Else a pool with `ceil_mode=True`, a border that is repeated and not
    mirrored, a convolution with padding.
Effect of the repair:
    Fewer reductions leave larger maps: more multiply-adds behind them. The others make this input legal; a convolution
    with padding changes the sizes at every other one, too.
References:
    PyTorch documentation, Conv2d and MaxPool2d, "Shape".
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, finding
from skipstone.checks.ledger import label
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import shape_text

RULE = Rule(
    "SK107",
    "too-small",
    "error",
    "a map is smaller than the window, padding or pooling laid on it",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    for node in failing(subject, "too-small"):
        source = graph[node.inputs[0]].shape
        yield finding(node, f"{shape_text(source)} is too small for {label(graph, node)}")
