"""Record any module's forward pass: no compute, no weights needed, and the module stays as it was."""

import inspect
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph, ModuleInfo, Stop
from skipstone.tracing.autograd import backward_nodes, parameters, refusals
from skipstone.tracing.blame import pass_on, raise_if_ours
from skipstone.tracing.bypass import watched_functions
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.example import Example, parse_example
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.position import raised_at
from skipstone.tracing.recorder import Recorder
from skipstone.tracing.selftest import records_differ, self_test
from skipstone.tracing.torch_internals import FOLDER, LOGGERS, FakeTensorMode, children_of, fake_mode, running_module

_MAX_PASSES = 8  # re-recordings that look for the assumed shapes behind which least goes wrong


def trace(model: nn.Module, example: object, *, out_of_place: bool = False) -> Graph:
    """Record one forward pass of `model`.

    Args:
        model: any module; it is not run, copied or changed. Its training mode and `requires_grad` flags are respected.
        example: a shape `(2, 3, 32, 32)`, a tensor, a tuple of them, or a dict of keyword arguments.
        out_of_place: treat `inplace=True` and augmented assignments as if they made new tensors.

    Where torch refuses an operation the record goes on with an assumed shape: of several that could have been meant,
    the ones behind which least goes wrong.

    Raises:
        ExampleError: an example of no known form.
        InternalError: skipstone itself failed.
    """
    if not isinstance(model, nn.Module):
        raise SkipstoneError(f"a model must be a torch.nn.Module, not {type(model).__name__}: {model!r}")
    _check_initialised(model)
    parsed = parse_example(example)
    self_test("the records", lambda: records_differ(trace))
    graph, options = record(model, parsed, (), out_of_place=out_of_place)
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
            rival, rival_options = record(model, parsed, other, out_of_place=out_of_place)
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
            file, line = _source(kind)
            place = f" ({os.path.basename(file)}:{line})" if file else ""
            raise SkipstoneError(
                f"{kind.__name__}.__init__ does not call super().__init__(){place}: it must, first"
            ) from None


def _badness(graph: Graph) -> tuple[bool, int]:
    return graph.stopped is not None, len(graph.failures)


def record(
    model: nn.Module,
    example: Example,
    choices: Sequence[int],
    *,
    out_of_place: bool = False,
    fake: FakeTensorMode | None = None,
    make_input: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[Graph, list[int]]:
    """One pass, and for each failure in it how many shapes could have been assumed. See `Recorder.choices`.

    `fake` and `make_input` let a caller bring a fake mode with symbolic sizes and inputs made under it.
    """
    with torch.inference_mode(False):
        return _record(model, example, choices, out_of_place, fake or fake_mode(), make_input)


def _record(
    model: nn.Module,
    example: Example,
    choices: Sequence[int],
    out_of_place: bool,
    fake: FakeTensorMode,
    make_input: Callable[[torch.Tensor], torch.Tensor] | None,
) -> tuple[Graph, list[int]]:
    clone = FakeClone(model, fake)
    recorder = Recorder(clone, choices, out_of_place=out_of_place)
    recorder.watch(module for module in clone.model.modules() if not isinstance(module, torch.jit.ScriptModule))
    make_input = make_input or clone.input
    args: Any
    kwargs: Any
    args, kwargs = map_tensors((example.args, dict(example.kwargs)), make_input)  # type: ignore[misc]
    stopped: Stop | None = None
    result: object = None
    with quiet_and_restored(), fake, torch.enable_grad():
        inputs = tuple(
            recorder.add("input", "input", (), t, name=f"input{i}") for i, t in enumerate(tensors_in((args, kwargs)))
        )
        try:
            with recorder.link, watched_functions(lambda: len(recorder.nodes), recorder.ran_inside), recorder:
                result = pass_on(clone.model, args, kwargs)
        except Exception as error:  # noqa: BLE001 - whatever the user's forward raises is reported as the place it stopped
            stopped = _stop(error, recorder)
    calls = recorder.finish()
    outputs = tensors_in(result)
    visited = backward_nodes(outputs)
    graph = Graph(
        nodes=tuple(recorder.nodes),
        inputs=inputs,
        outputs=tuple(recorder.look_up(t) for t in outputs if recorder.known(t)),
        modules={path: _module_info(path, module) for path, module in model.named_modules()},
        calls=calls,
        parameters=parameters(clone, recorder, visited),
        refusals=refusals(recorder, visited),
        assumptions=tuple(dict.fromkeys(recorder.assumptions)),
        stopped=stopped,
    )
    return graph, recorder.options


def _stop(error: Exception, recorder: Recorder) -> Stop:
    """Where the error came from: the user's own line if the innermost frame is theirs, else the last operation's."""
    raise_if_ours(error)
    frames = list(_frames(error))
    place = raised_at(*frames[-1]) if frames else None
    running = [module for frame, _ in frames if (module := running_module(frame)) is not None]
    path = recorder.clone.paths.get(id(running[-1]), "") if running else recorder._last_path
    # Behind the user's line there may be a library's: of both, the network's own code says more.
    files = {kind_file for module in recorder.clone.model.modules() if (kind_file := _source(type(module))[0])}
    own = [raised_at(*frame) for frame in frames if frame[0].f_code.co_filename in files]
    where = next((spot for spot in reversed(own) if spot), None) or place or recorder._last_place
    refused = error is recorder.refusing and not isinstance(error, NotImplementedError)
    own_code = place is not None or _is_mistake(error, frames)
    return Stop(type(error).__name__, _one_line(error), path, where, own=own_code, refused=refused)


# What Python, not torch, says of wrong code: a missing attribute, None or a list called, a tuple for a tensor.
_MISTAKES = (TypeError, AttributeError, NameError, LookupError, NotImplementedError)
_MODULES = FOLDER + "nn" + os.sep


def _is_mistake(error: Exception, frames: list[tuple[FrameType, int]]) -> bool:
    """Is it raised by the code of torch's modules, or by a call of torch with arguments of the wrong types?"""
    if not isinstance(error, _MISTAKES) or not frames:
        return False
    if frames[-1][0].f_code.co_filename.startswith(_MODULES):
        return True
    return isinstance(error, TypeError) and ("must be" in str(error) or "invalid combination of arg" in str(error))


def _frames(error: Exception) -> Iterator[tuple[FrameType, int]]:
    """The frames an error came through, outermost first, each with the instruction it stood at."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lasti
        traceback = traceback.tb_next


def _one_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].replace("FakeTensor", "Tensor")
    return text or type(error).__name__


@contextmanager
def quiet_and_restored() -> Iterator[None]:
    """Torch's complaints off, attention's fast path off (it hides its operations), random states as they were."""
    numpy = sys.modules.get("numpy")
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(torch.set_rng_state, states[0])
        stack.callback(random.setstate, states[1])
        if numpy:
            stack.callback(numpy.random.set_state, states[2])
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        for logger, level in zip(loggers, levels, strict=True):
            stack.callback(logger.setLevel, level)
            logger.setLevel(logging.CRITICAL)
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _module_info(path: str, module: nn.Module) -> ModuleInfo:
    kind = type(module)
    file, line = _source(kind)
    return ModuleInfo(path, kind.__name__, kind.__module__, module.extra_repr(), module.training, file, line)


_SOURCES: dict[type, tuple[str | None, int | None]] = {}


def _source(kind: type) -> tuple[str | None, int | None]:
    if kind not in _SOURCES:
        forward = getattr(kind, "forward", None)
        forward = inspect.unwrap(forward) if callable(forward) else None
        code = getattr(forward, "__code__", None)
        _SOURCES[kind] = (code.co_filename, code.co_firstlineno) if code else (None, None)
    return _SOURCES[kind]
