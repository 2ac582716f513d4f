"""Record any module's forward pass: no compute, no weights needed, and the module stays as it was."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph, ModuleInfo, Place
from skipstone.tracing import keras
from skipstone.tracing.autograd import backward_nodes, parameters, refusals
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.deadline import NO_LIMIT, time_limit
from skipstone.tracing.example import Example, parse_example
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.refusals import GO_ON, Refusals
from skipstone.tracing.selftest import records_differ, self_test
from skipstone.tracing.session import SECONDS, Mode, run, training_in, undisturbed
from skipstone.tracing.stops import source_of, stop_at
from skipstone.tracing.torch_internals import children_of

# Re-recordings that look for the assumed shapes behind which least goes wrong, and the nodes in all of them.
_MAX_PASSES, _MAX_NODES = 8, 800
_MANY = 3  # refusals at one line that are decided together
_REFUSAL = 8  # nodes that could be recorded in the time that a refusal takes

Options = list[tuple[int, Place | None]]  # for each refusal: how many shapes could be meant, and its line


def trace(
    model: nn.Module,
    example: object,
    *,
    mode: Mode | None = None,
    out_of_place: bool = False,
    seconds: float = SECONDS,
    rivals: bool = True,
) -> Graph:
    """Record one forward pass of `model`.

    Args:
        model: any module; a twin of it runs on tensors without values, and it stays as it was. Its
            `requires_grad` flags are respected.
        example: a shape `(2, 3, 32, 32)`, a tensor, a tuple of them, or a dict of keyword arguments.
        mode: "train" or "eval": record as if `train()` or `eval()` had been called; by default in the modes that the
            model's modules are in.
        out_of_place: treat `inplace=True` and augmented assignments as if they made new tensors.
        seconds: a pass that takes longer is recorded up to there, and the record says so.
        rivals: look for better shapes to assume behind a refusal.

    Where torch refuses an operation the record goes on with an assumed shape: of several that could have been meant,
    the ones behind which least goes wrong, as far as a bounded search finds them.

    Raises:
        ExampleError: an example of no known form.
        InternalError: skipstone itself failed.
    """
    if not isinstance(model, nn.Module):
        raise SkipstoneError(f"a model must be a torch.nn.Module, not {type(model).__name__}: {model!r}")
    _check_initialised(model)
    self_test("the records", lambda: records_differ(trace))
    training = training_in(mode)
    with undisturbed(model), time_limit(NO_LIMIT):
        parsed = parse_example(example)

        def recorded(refusals: Refusals) -> tuple[Graph, Options]:
            return record(model, parsed, refusals, out_of_place=out_of_place, training=training, seconds=seconds)

        return _least_bad(recorded) if rivals else recorded(GO_ON)[0]


def cost_of_record(graph: Graph) -> int:
    """The nodes that recording a network anew may take, the search behind refusals and they themselves included."""
    return (len(graph) + _REFUSAL * len(graph.failures)) * (1 + min(_rivals(graph), max(0, len(graph.failures) - 1)))


def _rivals(graph: Graph) -> int:
    return min(_MAX_PASSES, _MAX_NODES // max(1, len(graph)))


def _least_bad(recorded: Callable[[Refusals], tuple[Graph, Options]]) -> Graph:
    """Of the shapes that could be assumed behind each failure, the ones behind which least goes wrong.

    Refusals at one line, if there are many, are decided together, the rest one by one, in order.
    """
    best = _Best(recorded)
    lines = Counter(place for count, place in best.options if count > 1 and place is not None)
    many = [line for line in lines if lines[line] >= _MANY]
    for line in many:
        best.compare(Refusals(places={**best.refusals.places, line: 1}))
    number = 0
    while number < len(best.options) and (best.graph.stopped is not None or len(best.graph.failures) - number > 1):
        count, place = best.options[number]
        decided = [best.refusals.choice(k, best.options[k][1]) for k in range(number)]
        for choice in range(1, count if place not in many else 0):
            best.compare(replace(best.refusals, choices=(*decided, choice)))
        number += 1
    return best.graph


class _Best:
    """The best record so far, what was assumed in it, and how much may still be spent on rivals."""

    def __init__(self, recorded: Callable[[Refusals], tuple[Graph, Options]]) -> None:
        self.recorded, self.refusals = recorded, GO_ON
        self.graph, self.options = recorded(GO_ON)
        self.left = _rivals(self.graph)

    def compare(self, refusals: Refusals) -> None:
        """Record with other assumptions, and keep them where less goes wrong."""
        if self.left > 0:
            self.left -= 1
            graph, options = self.recorded(refusals)
            if _badness(graph) < _badness(self.graph):
                self.graph, self.options, self.refusals = graph, options, refusals


def _check_initialised(model: nn.Module) -> None:
    """A module whose `__init__` skipped torch's own holds no layers, and torch's words for it name none."""
    pending = [model]
    while pending:
        module = pending.pop()
        try:
            pending.extend(child for child in children_of(module).values() if child is not None)
        except AttributeError:
            kind = type(module)
            file, line = source_of(kind)
            place = f" ({os.path.basename(file)}:{line})" if file else ""
            raise SkipstoneError(
                f"{kind.__name__}.__init__ does not call super().__init__(){place}: it must, first"
            ) from None


def _badness(graph: Graph) -> tuple[bool, int]:
    return graph.stopped is not None, len(graph.failures)


def record(
    model: nn.Module,
    example: Example,
    refused: Refusals = GO_ON,
    *,
    out_of_place: bool = False,
    training: bool | None = None,
    seconds: float = SECONDS,
) -> tuple[Graph, Options]:
    """One pass, and for each failure in it how many shapes could have been assumed. See `Refusals`."""

    def arguments(clone: FakeClone) -> Any:
        return map_tensors((example.args, dict(example.kwargs)), clone.input)

    done = run(
        model,
        arguments,
        refusals=refused,
        out_of_place=out_of_place,
        training=training,
        seconds=seconds,
    )
    recorder, outputs = done.recorder, tensors_in(done.result)
    visited = backward_nodes(outputs)
    graph = Graph(
        nodes=tuple(recorder.nodes),
        inputs=done.inputs,
        outputs=tuple(recorder.look_up(t) for t in outputs if recorder.known(t)),
        modules={path: _module_info(path, module, done.modes[path]) for path, module in keras.named_modules(model)},
        calls=done.calls,
        parameters=parameters(done.clone, recorder, visited),
        refusals=refusals(recorder, visited),
        assumptions=tuple(dict.fromkeys(recorder.assumptions)),
        stopped=None if done.error is None else stop_at(done.error, recorder, seconds),
    )
    return graph, recorder.options


def _module_info(path: str, module: nn.Module, training: bool) -> ModuleInfo:
    kind = type(module)
    file, line = source_of(kind)
    return ModuleInfo(path, kind.__name__, kind.__module__, module.extra_repr(), training, file, line)
