"""What a grader asks: a student's answers as values and as networks that it runs itself."""

import ast
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from skipstone.core.codec import RecordError
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip
from skipstone.graphs.costs import batch_of, cost
from skipstone.graphs.operations import has_role
from skipstone.learn.asks import Calls, KerasModel, Network, Value
from skipstone.learn.gather import NOT_THERE
from skipstone.learn.replay import ReplayError, replay, replayed
from skipstone.learn.submission import Facts
from skipstone.learn.verdict import Wrong
from skipstone.learn.wire import graph_from, tensors_from, value_from
from skipstone.skips import find_skips

_MALFORMED = (RecordError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


class Net:
    """A student's network as data: its record, its weights, what the checker said of it."""

    def __init__(self, graph: Graph, weights: Mapping[str, Tensor], findings: list[dict[str, Any]]) -> None:
        self.graph, self.weights, self.findings = graph, weights, findings

    @cached_property
    def skips(self) -> tuple[Skip, ...]:
        """Its skip connections in the papers' sense, found here and not in the student's process."""
        return tuple(skip for skip in find_skips(self.graph) if skip.is_block_skip)

    @cached_property
    def joins(self) -> tuple[Skip, ...]:
        """Where two paths from one tensor meet again: skips, and branches that do work of their own on both sides."""
        return tuple(skip for skip in find_skips(self.graph) if skip.is_block_skip or skip.kind == "parallel")

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of its (first) output."""
        return self.graph[self.graph.outputs[0]].shape

    @property
    def num_parameters(self) -> int:
        return cost(self.graph).num_parameters

    @property
    def macs(self) -> int:
        """Multiply-adds for one input."""
        return cost(self.graph).macs // batch_of(self.graph)

    def shape_at(self, node: int) -> tuple[int, ...]:
        return self.graph[node].shape

    def nodes(self, *roles: Any) -> list[Any]:
        """The operations with one of these roles that an output depends on, in order."""
        made = (node for node in self.graph if node.kind == "op" and node.index in self._alive)
        return [node for node in made if has_role(node, *roles)]

    def settings(self, node: Any) -> tuple[int, ...]:
        """(kernel, stride, padding) of a convolution, of its first axis."""
        kernel = self.graph[node.inputs[1]].shape[2]
        return kernel, _first(node.argument("stride", 1)), _first(node.argument("padding", 0))

    def run(self, *inputs: Tensor) -> Tensor:
        """Its (first) output for these inputs, run here from the record."""
        return replay(self.graph, self.weights, *inputs)[0]

    def tensors(self, *inputs: Tensor) -> dict[int, Tensor]:
        """Each node's tensor for these inputs, run here from the record."""
        return replayed(self.graph, self.weights, *inputs)

    def gradients(self, seed: int = 0) -> dict[str, float]:
        """The norm of each parameter's gradient, of the mean square of the outputs for a drawn input."""
        generator = torch.Generator().manual_seed(seed)
        inputs = [torch.randn(self.shape_at(i), generator=generator) for i in self.graph.inputs]
        names = {p.name for p in self.graph.parameters if p.requires_grad}
        leaves = {n: w.clone().requires_grad_(n in names and w.is_floating_point()) for n, w in self.weights.items()}
        with torch.enable_grad():
            loss = sum((out.double() ** 2).mean() for out in replay(self.graph, leaves, *inputs))
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            return dict.fromkeys(names, 0.0)
        loss.backward()  # type: ignore[no-untyped-call]
        found = {n: leaves[n].grad for n in names if n in leaves}
        return {n: 0.0 if gradient is None else float(gradient.norm()) for n, gradient in found.items()}

    def line_of(self, node: int) -> int | None:
        place = self.graph[node].place
        return place.line if place else None

    def line(self) -> int | None:
        """Where its output is made."""
        return self.line_of(self.graph.outputs[0])

    @cached_property
    def _alive(self) -> frozenset[int]:
        alive, pending = set(), list(self.graph.outputs)
        while pending:
            index = pending.pop()
            if index not in alive:
                alive.add(index)
                pending += self.graph[index].inputs
        return frozenset(alive)


class Answers:
    """All of one file's answers. Each method raises `Wrong`, which ends the grader, where there is no such answer."""

    def __init__(self, facts: Facts, asks: tuple[Any, ...], source: str = "", *, seed: int = 0) -> None:
        self._facts, self._asks, self.source, self.seed = facts, asks, source, seed
        try:
            self._tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self._tree = ast.parse("")

    def value(self, ask: Value) -> Any:
        """The value; lists come as tuples."""
        try:
            return value_from(self._answer(ask)["value"])
        except _MALFORMED as error:
            raise Wrong(f"what came back for {ask.name} is no value") from error

    def calls(self, ask: Calls) -> list[Any]:
        """What the function returned for each case.

        A case that raised ends the grader with what was raised.
        """
        try:
            results = self._answer(ask)["results"]
            found = []
            for case, row in zip(ask.cases, results, strict=True):
                if "trouble" in row:
                    shown = ", ".join(map(repr, case))
                    raise Wrong(f"{ask.name}({shown}) raises {_words(row['trouble'])}", row["trouble"].get("line"))
                found.append(value_from(row["value"]))
        except _MALFORMED as error:
            raise Wrong(f"what came back for {ask.name} is no list of results") from error
        return found

    def network(self, ask: Network | KerasModel) -> Net:
        """The network, run once here from its record; where it can't run, in the checker's words why."""
        answer = self._answer(ask, ask_trouble=False)
        findings = [f for f in answer.get("findings", []) if isinstance(f, dict)]
        if "graph" not in answer:
            raise self._not_running(ask, answer, findings)
        try:
            net = Net(graph_from(answer["graph"]), tensors_from(answer["weights"]), findings)
            net.run(*(torch.randn(net.shape_at(i)) for i in net.graph.inputs))
        except ReplayError as error:
            raise Wrong(
                f"{ask.name} runs, but I can't run it again from its record, so I can't judge it: {error}. "
                f"{error.instead}",
                error.node.place.line if error.node.place else None,
            ) from error
        except _MALFORMED as error:
            raise Wrong(f"what came back for {ask.name} is no record of a network") from error
        return net

    def has(self, ask: Any) -> bool:
        """Was there an answer at all?"""
        row = self._facts.answers.get(self._asks.index(ask), {})
        return "trouble" not in row and bool(row)

    def line(self, name: str, key: object = None) -> int | None:
        """Where the student binds `name`, or writes the entry `key` of the dict or list bound to it."""
        for statement in self._tree.body:
            if name not in _bound(statement):
                continue
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Dict):
                for written, item in zip(value.keys, value.values, strict=True):
                    if written is not None and _literal(written) == key:
                        return item.lineno
            if isinstance(value, ast.List | ast.Tuple) and isinstance(key, int) and key < len(value.elts):
                return value.elts[key].lineno
            return statement.lineno
        return None

    def _answer(self, ask: Any, *, ask_trouble: bool = True) -> dict[str, Any]:
        facts = self._facts
        answer = facts.answers.get(self._asks.index(ask))
        if answer is None:
            if facts.failure is not None:
                raise Wrong(_failed(facts.failure), _line(facts.failure))
            raise Wrong(f"your code gave no answer: {facts.ended or 'it stopped too early'}")
        trouble = answer.get("trouble")
        if isinstance(trouble, dict) and (ask_trouble or trouble.get("error") == NOT_THERE):
            if trouble.get("error") == NOT_THERE:
                raise Wrong(f"nothing in the file is called {ask.name}")
            raise Wrong(f"{ask.name}: {_failed(trouble)}", _line(trouble))
        return answer

    def _not_running(self, ask: Network | KerasModel, answer: dict[str, Any], findings: list[dict[str, Any]]) -> Wrong:
        given = (["x"] if isinstance(ask, KerasModel) else []) + [*map(repr, ask.arguments)]
        made = f"{ask.name}({', '.join(given)})" if given else ask.name
        trouble = answer.get("trouble", {})
        found = next((f for f in findings if f.get("severity") == "error"), None)
        line = (_line(found) if found else None) or _line(trouble) or self.line(ask.name)
        if found is not None:
            return Wrong(f"{made} does not run on {ask.example}:\n{found.get('text', '')}", line)
        return Wrong(f"{made} does not run on {ask.example}: {_failed(trouble)}", line)


def _failed(trouble: Mapping[str, Any]) -> str:
    if trouble.get("error") == "TimeUp":
        return "your code was still running when its time was up; look for a loop without an end"
    if trouble.get("error") in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in str(
        trouble.get("message")
    ):
        return "your code asked for more memory than an exercise may use (2 GB)"
    if trouble.get("error") == "SystemExit":
        return "your code ended the program (sys.exit, quit or exit); take that out"
    return f"your code raises {_words(trouble)}"


def _words(trouble: Mapping[str, Any]) -> str:
    return f"{trouble.get('error', 'an error')}: {trouble.get('message', '')}"


def _line(row: Mapping[str, Any]) -> int | None:
    line = row.get("line")
    return line if isinstance(line, int) and line > 0 else None


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)}


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def _first(value: object) -> Any:
    return value[0] if isinstance(value, tuple) else value
