"""Record any module's forward pass: no compute, no weights needed, and the module stays as it was."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph, ModuleInfo
from skipstone.tracing import keras
from skipstone.tracing.autograd import backward_nodes, parameters, refusals
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.deadline import NO_LIMIT, time_limit
from skipstone.tracing.example import Example, parse_example
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.refusals import Refusals
from skipstone.tracing.selftest import records_differ, self_test
from skipstone.tracing.session import SECONDS, Mode, run, training_in, undisturbed
from skipstone.tracing.stops import source_of, stop_at
from skipstone.tracing.torch_internals import children_of

_MAX_PASSES = 8  # re-recordings that look for the assumed shapes behind which least goes wrong


def trace(
    model: nn.Module,
    example: object,
    *,
    mode: Mode | None = None,
    out_of_place: bool = False,
    seconds: float = SECONDS,
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

    Where torch refuses an operation the record goes on with an assumed shape: of several that could have been meant,
    the ones behind which least goes wrong.

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

        def recorded(choices: Sequence[int]) -> tuple[Graph, list[int]]:
            return record(model, parsed, choices, out_of_place=out_of_place, training=training, seconds=seconds)

        return _least_bad(recorded)


def _least_bad(recorded: Callable[[Sequence[int]], tuple[Graph, list[int]]]) -> Graph:
    """Of the shapes that could be assumed behind each failure, the ones behind which least goes wrong."""
    graph, options = recorded(())
    choices = [0] * len(options)
    passes = 0
    for number in range(len(options)):
        if len(graph.failures) - number <= 1 and graph.stopped is None:
            break
        for choice in range(1, options[number] if number < len(options) else 0):
            if passes == _MAX_PASSES:
                return graph
            passes += 1
            other = [*choices[:number], choice]
            rival, rival_options = recorded(other)
            if _badness(rival) < _badness(graph):
                graph, options, choices = rival, rival_options, other + [0] * (len(rival_options) - len(other))
    return graph


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
    choices: Sequence[int] = (),
    *,
    out_of_place: bool = False,
    training: bool | None = None,
    seconds: float = SECONDS,
) -> tuple[Graph, list[int]]:
    """One pass, and for each failure in it how many shapes could have been assumed. See `Refusals.choices`."""

    def arguments(clone: FakeClone) -> Any:
        return map_tensors((example.args, dict(example.kwargs)), clone.input)

    done = run(
        model,
        arguments,
        refusals=Refusals(choices=choices),
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
