"""On a torch that nothing here was run with: is the record of a known network what it should be?

A torch that changed below the recorder would lead to wrong words later. So at the first use a small network, which
takes each of the ways an operation can reach the record, is recorded; where that differs it is said once, in one line.
"""

import re
import warnings
from collections.abc import Callable

import torch
from torch import nn

from skipstone.core.errors import UntestedTorchWarning
from skipstone.core.graph import Graph, Node
from skipstone.tracing.session import asked_for
from skipstone.tracing.torch_internals import TESTED

_done: set[str] = set()


def self_test(what: str, difference: Callable[[], str | None]) -> None:
    """Once a process, on an untested torch: warn if there is a difference, or if looking for one fails."""
    if what in _done or is_tested(torch.__version__):
        return
    _done.add(what)  # first, since the test itself uses what it tests
    try:
        with asked_for(None):  # the known network's words are those of its own mode
            found = difference()
    except Exception as error:  # noqa: BLE001 - whatever a changed torch raises, the reason is told and nothing hidden
        found = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if found is not None:
        oldest, newest = (".".join(map(str, version)) for version in TESTED)
        warnings.warn(
            f"torch {torch.__version__} was never tested with skipstone ({oldest} to {newest} were), and {what} of a "
            f"known network differ from what they should be ({found}): what is said of yours may be incomplete",
            UntestedTorchWarning,
            stacklevel=3,
        )


def is_tested(version: str) -> bool:
    """Does a version lie in the tested range, whatever its patch level and build?"""
    number = re.match(r"(\d+)\.(\d+)", version)
    return number is not None and TESTED[0] <= (int(number[1]), int(number[2])) <= TESTED[1]


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        return x * 2

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient * 2


class _Known(nn.Module):
    """A residual block, with a custom function, a view written through, vmap, a checkpoint, data, and a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(7, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.norm(self.conv(x)))
        y += x
        y = torch.utils.checkpoint.checkpoint(torch.sigmoid, y, use_reentrant=False)
        y = _Doubled.apply(y)  # type: ignore[no-untyped-call]
        y = y.clone()
        y[:, 0].zero_()
        y = torch.vmap(torch.tanh)(y)
        if y.sum() > 0:
            y = y.mean((2, 3))
        return self.head(y)  # type: ignore[no-any-return]


# A line a node: operation, inputs, shape, module, then: g has a gradient, w writes over another, ! was refused.
KNOWN = """
input - 2,3,4,4 -
parameter - 3,3,3,3 conv g
conv2d 0,1 2,3,4,4 conv g
buffer - 3 norm
buffer - 3 norm
parameter - 3 norm g
parameter - 3 norm g
batch_norm 2,3,4,5,6 2,3,4,4 norm g
relu 7 2,3,4,4 act gw
add 8,0 2,3,4,4 - gw
sigmoid 9 2,3,4,4 - g
mul 10 2,3,4,4 - g
clone 11 2,3,4,4 - g
getitem 12 2,4,4 - g
zero 13 2,4,4 - gw
alias 12 3,4,4 - g
tanh 15 3,4,4 - g
alias 16 2,3,4,4 - g
sum 17 - - g
gt 18 - -
mean 17 2,3 - g
parameter - 2,7 head g
linear 20,21 2,2 head g!
gradients conv.weight,norm.weight,norm.bias,head.weight
refused backward 8-9
assumed 1
stopped None
"""


def records_differ(trace: Callable[[nn.Module, object], Graph]) -> str | None:
    """The first line in which the record of the known network is not as known; None where all are."""
    known, found = KNOWN.strip().splitlines(), lines(trace(_Known(), (2, 3, 4, 4)))
    for number in range(max(len(known), len(found))):
        one, other = (these[number] if number < len(these) else "nothing" for these in (known, found))
        if one != other:
            return f"{other!r} where {one!r} belongs"
    return None


def lines(graph: Graph) -> list[str]:
    """A record in the words of `KNOWN`, with the parameters that a gradient reaches and what was assumed."""
    reached = [parameter.name for parameter in graph.parameters if parameter.reached]
    return [
        *map(_line, graph),
        f"gradients {','.join(reached)}",
        f"refused backward {' '.join(f'{refusal.saver}-{refusal.writer}' for refusal in graph.refusals)}",
        f"assumed {len(graph.assumptions)}",
        f"stopped {graph.stopped}",
    ]


def _line(node: Node) -> str:
    marks = "g" * node.requires_grad + "w" * (node.overwrites is not None) + "!" * (node.failure is not None)
    inputs, shape = (",".join(map(str, numbers)) or "-" for numbers in (node.inputs, node.shape))
    return f"{node.op} {inputs} {shape} {node.module or '-'} {marks}".rstrip()
