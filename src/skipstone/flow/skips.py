"""What each skip contributes in the real network: the operands of every merge that `find_skips` found, met in a run.

The record names each operation by its module and its turn there; the run meets them by the same name. Forward numbers
are taken where the operands meet. For the backward ones the gradient at the sum is sent back a second time, through
shortcut and branch by themselves: together about one more backward pass over the blocks (more for long skips that span
others), and the forward pass's saved tensors are kept until then.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

import torch
from torch import Tensor

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.execution.copying import RealClone
from skipstone.execution.watching import Watch
from skipstone.flow import additions
from skipstone.flow.norms import norms
from skipstone.flow.reuse import reuse_of
from skipstone.graphs.operations import canonical
from skipstone.runs.flow import SkipFlow
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.torch_internals import no_torch_function

_SUMS = ("add", "iadd")
Key = tuple[str, str, int]  # an operation, its module, its turn there (from 1)
_ORDINARY = 1e-3  # a branch, or a relative gradient, below this share of the stream's, or the largest, is small


@dataclass
class _Met:
    """What was seen of one skip in the run."""

    forward: dict[str, Any] = field(default_factory=dict)  # fields of `SkipFlow`
    short: Any = None  # gradient edge of the operand; None where no gradient flows there
    main: Any = None
    shapes: tuple[torch.Size, ...] = ()
    gradient: Tensor | None = None
    dtype: str = ""
    seen: bool = False
    over: bool = False  # the backward pass: what a longer skip sends back through this one is not its gradient


class SkipProbe(Watch):
    """Looks on while a copy runs; `flows()` then tells what each skip contributed.

    Enter `following()` around the forward pass; call `flows()` after a backward pass that kept its graph
    (`retain_graph=True`).
    """

    def __init__(self, clone: RealClone, graph: Graph, skips: Sequence[Skip]) -> None:
        super().__init__(clone)
        self.graph, self.skips = graph, [skip for skip in skips if skip.is_block_skip or skip.merge == "cat"]
        keys = turns(graph)
        self._merges: dict[Key, list[Skip]] = defaultdict(list)
        self._sources: dict[Key, list[Node]] = defaultdict(list)
        for skip in self.skips:
            self._merges[keys.get(skip.merge_node, ("", "", 0))].append(skip)
            source = graph[skip.source_node]
            if source.index in keys:
                self._sources[keys[source.index]].append(source)
        self._edges: dict[int, Any] = {}
        self._met = {skip.index: _Met() for skip in self.skips}
        self._number = {index: place for place, index in enumerate(graph.inputs)}

    def take_inputs(self, inputs: Sequence[Tensor]) -> None:
        """The tensors that the network is called with, in order: skips may start there."""
        for index, place in self._number.items():
            if place < len(inputs) and inputs[place].requires_grad:
                self._edges[index] = torch.autograd.graph.get_gradient_edge(inputs[place])

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = canonical(getattr(func, "__name__", str(func)))
        key = (name, self.path, self.counts[name, self.path] + 1)
        operands: list[Tensor] = []
        if key in self._merges:
            operands = tensors_in((args, kwargs))
            with no_torch_function(), torch.no_grad():
                for skip in self._merges[key]:
                    self._before(skip, operands)
        result = super().__torch_function__(func, types, args, kwargs)
        if key in self._merges or key in self._sources:
            with no_torch_function():
                self._behind(key, tensors_in(result))
        return result

    def _before(self, skip: Skip, operands: Sequence[Tensor]) -> None:
        """The operands as they are before the merge, which may overwrite one of them."""
        met, inputs = self._met[skip.index], self.graph[skip.merge_node].inputs
        places = [inputs.index(i) if i in inputs else -1 for i in (skip.short_operand, skip.main_operand)]
        if min(places) < 0 or max(places) >= len(operands) or len(inputs) != len(operands):
            return
        short, main = (operands[place] for place in places)
        met.seen, met.shapes = True, tuple(tensor.shape for tensor in operands)
        met.short, met.main = _edge(short), _edge(main)
        if skip.merge == "add" and short.shape == main.shape and short.numel():
            met.forward = {
                "ratio": _number(additions.norm_ratio(main, short)),
                "cosine": _number(additions.cosine(main, short)),
                "variance_share": _number(additions.variance_share(main, short)),
                "dead": _number(additions.dead_share(main, short, main + short)),
                "zero": _number(additions.zero_share(main)),
            }

    def _behind(self, key: Key, results: Sequence[Tensor]) -> None:
        for skip in self._merges.get(key, ()):
            met, total = self._met[skip.index], results[0]
            met.dtype = str(total.dtype).removeprefix("torch.")
            if total.requires_grad:
                total.register_hook(_keep(met))  # type: ignore[no-untyped-call]
        for node in self._sources.get(key, ()):
            if node.output < len(results) and results[node.output].requires_grad:
                self._edges[node.index] = torch.autograd.graph.get_gradient_edge(results[node.output])

    # ---- after the backward pass

    def flows(self) -> tuple[SkipFlow, ...]:
        """What each skip contributed, in the order of the forward pass."""
        for met in self._met.values():
            met.over = True
        found = [self._flow(skip) for skip in self.skips]
        pulls = _pulls(dict(self.clone.model.named_parameters()))
        return tuple(replace(flow, learns=_learns(flow, found, pulls)) for flow in found)

    def _flow(self, skip: Skip) -> SkipFlow:
        met = self._met[skip.index]
        place = f"{skip.file}:{skip.line}" if skip.file else ""
        flow = SkipFlow(
            skip.index, skip.kind, skip.merge, skip.source, skip.target, place, dtype=met.dtype,
            layers=self._weights(skip),
        )  # fmt: skip
        if not met.seen:
            return replace(flow, note="the run did not meet its operands as the record has them")
        if skip.merge == "cat":
            parameters = dict(self.clone.model.named_parameters())
            return replace(flow, reuse=reuse_of(self.graph, skip.merge_node, parameters, met.gradient))
        flow = replace(flow, **met.forward)
        if not met.forward:
            shapes = ", ".join(str(tuple(shape)) for shape in met.shapes)
            return replace(flow, note=f"operands of shapes {shapes}, joined by {skip.merge}")
        return self._with_gradients(flow, skip, met)

    def _with_gradients(self, flow: SkipFlow, skip: Skip, met: _Met) -> SkipFlow:
        op = self.graph[skip.merge_node].op
        if met.gradient is None:
            return replace(flow, note="no gradient arrives at the sum")
        if skip.source_node not in self._edges:
            return replace(flow, note="no gradient reaches its source")
        if op not in _SUMS:
            return replace(flow, note=f"its gradient is not followed through {op}")
        source = self._edges[skip.source_node]
        try:
            short, main = (_back(edge, source, met.gradient) for edge in (met.short, met.main))
        except RuntimeError as error:  # a checkpoint, or a function that allows one backward pass only
            return replace(flow, note=str(error).split("\n")[0])
        zero = torch.zeros((), dtype=met.gradient.dtype)
        s, b = norms([short, main])
        if short is None and main is None:
            return replace(flow, shortcut_grad=0.0, branch_grad=0.0)
        one = short if short is not None else zero.expand(main.shape)  # type: ignore[union-attr]
        two = main if main is not None else zero.expand(one.shape)
        return replace(
            flow, shortcut_grad=s, branch_grad=b, grad_share=_number(additions.gradient_share(one, two)),
            grad_cosine=_number(additions.cosine(two, one)),
        )  # fmt: skip

    def _weights(self, skip: Skip) -> tuple[str, ...]:
        """The parameters that take part in the branch."""
        names = [name for index in skip.main for i in self.graph[index].inputs for name in self._made_of(i)]
        return tuple(dict.fromkeys(names))

    def _made_of(self, index: int) -> tuple[str, ...]:
        """The parameters that a tensor is made of, none where data takes part in it."""
        node = self.graph[index]
        if node.kind == "parameter":
            return (node.name,)
        if node.kind != "op" or self._depends[index]:
            return ()
        return tuple(name for i in node.inputs for name in self._made_of(i))

    @cached_property
    def _depends(self) -> list[bool]:
        """Of each tensor: does data take part in it?"""
        depends: list[bool] = []
        for node in self.graph:
            depends.append(node.kind == "input" or any(depends[i] for i in node.inputs))
        return depends


def _learns(flow: SkipFlow, flows: Sequence[SkipFlow], pulls: Mapping[str, float]) -> bool | None:
    """Has some parameter of the branch a gradient of ordinary size beside its own value?

    Ordinary is measured outside the branches that are small: there every gradient may be.
    """
    small = {name for other in flows if (other.ratio or 1.0) < _ORDINARY for name in other.layers}
    outside = [pull for name, pull in pulls.items() if name not in small]
    if flow.merge != "add" or not flow.layers or not any(outside):
        return None
    return any(pulls.get(name, 0.0) > _ORDINARY * max(outside) for name in flow.layers)


def turns(graph: Graph) -> dict[int, Key]:
    """For each recorded operation its name in a run: the operation, the module, its turn there."""
    counts: Counter[tuple[str, str]] = Counter()
    keys: dict[int, Key] = {}
    for node in graph:
        if node.kind != "op":
            continue
        counts[node.op, node.module] += node.output == 0
        keys[node.index] = (node.op, node.module, counts[node.op, node.module])
    return keys


def _edge(tensor: Tensor) -> Any:
    return torch.autograd.graph.get_gradient_edge(tensor) if tensor.requires_grad else None


def _keep(met: _Met) -> Callable[[Tensor], None]:
    def keep(gradient: Tensor) -> None:
        if not met.over:
            met.gradient = gradient.detach()

    return keep


def _back(edge: Any, source: Any, gradient: Tensor) -> Tensor | None:
    """What of the gradient at an operand arrives at the source; None where no way leads there."""
    if edge is None:
        return None
    if edge == source:
        return gradient
    (found,) = torch.autograd.grad([edge], [source], [gradient], retain_graph=True, allow_unused=True)
    return found


def _pulls(parameters: Mapping[str, Tensor]) -> dict[str, float]:
    """How strongly each parameter is pulled: its gradient's norm over its value's.

    Beside a value of zero (a zero-gamma, a bias that starts there) stands the median root mean square of the others.
    """
    tensors = list(parameters.values())
    values = norms(tensors)
    sizes = [value / max(1, tensor.numel()) ** 0.5 for value, tensor in zip(values, tensors, strict=True) if value]
    typical = median(sizes) if sizes else 1.0
    return {
        name: grad / (value or typical * max(1, tensor.numel()) ** 0.5)
        for name, tensor, grad, value in zip(parameters, tensors, norms([t.grad for t in tensors]), values, strict=True)
    }


def _number(value: Tensor) -> float | None:
    """None for NaN: the number has no meaning there."""
    return None if bool(value.isnan()) else float(value)
