"""In the student's process: run the file, answer each ask, hand the answers out. Knows nothing of what is right.

Each answer is `{"ask": number, ...}` with what was asked for, or with `trouble`: what was raised and at which line of
the student's.
"""

import codecs
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from skipstone.core.finding import Finding
from skipstone.core.sources import decode
from skipstone.learn.asks import Ask, Calls, KerasModel, Network, Value

Emit = Callable[[dict[str, Any]], None]
NOT_THERE = "not-there"


class TimeUp(BaseException):
    """The student's code has used up its time; raised at the line where it then was."""


def run_file(path: str, asks: Sequence[Ask], emit: Emit) -> None:
    """Run the student's file and answer `asks`, one call of `emit` each."""
    namespace: dict[str, Any] = {"__name__": "answer", "__file__": path}
    try:
        with open(path, "rb") as file:
            text = source_text(file.read(), path)
        exec(compile(text, path, "exec"), namespace)
    except BaseException as error:  # noqa: BLE001 - whatever the student's code raises, SystemExit included, is told
        emit({"trouble": trouble_of(error, path)})
        return
    gather(namespace, path, asks, emit)


def source_text(source: bytes, path: str) -> str:
    """The student's text as Python reads it: by its byte order mark, its coding line, else as UTF-8.

    Raises:
        SyntaxError: it is in no encoding that Python reads; with the line, and what to do.
    """
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SyntaxError("the file is saved as UTF-16; save it as UTF-8", (path, 1, None, None))
    try:
        return decode(source)[0]
    except (UnicodeDecodeError, SyntaxError) as error:
        try:
            source.decode("utf-8-sig")
        except UnicodeDecodeError as found:
            line, byte = source.count(b"\n", 0, found.start) + 1, source[found.start]
            raise SyntaxError(
                f"byte {byte:#04x} is not UTF-8; save the file as UTF-8", (path, line, None, None)
            ) from error
        raise SyntaxError(f"{error}; save the file as UTF-8, without a coding line", (path, 1, None, None)) from error


def gather(namespace: Mapping[str, Any], path: str | None, asks: Sequence[Ask], emit: Emit) -> None:
    """Answer `asks` from what a file or a notebook has bound. `path` is the student's file, None for a notebook."""
    for number, ask in enumerate(asks):
        if ask.name not in namespace:
            emit({"ask": number, "trouble": {"error": NOT_THERE, "message": f"nothing is called {ask.name}"}})
            continue
        try:
            emit({"ask": number, **_answer(namespace[ask.name], ask, path)})
        except BaseException as error:  # noqa: BLE001 - as above
            emit({"ask": number, "trouble": trouble_of(error, path)})
            if isinstance(error, TimeUp):
                return


def trouble_of(error: BaseException, path: str | None) -> dict[str, Any]:
    """What was raised in words, and the last line of the student's file that had a part in it."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == path else None
    for frame in traceback.extract_tb(error.__traceback__):
        if path is None or frame.filename == path:
            line = frame.lineno
    message = (error.msg if isinstance(error, SyntaxError) else str(error)).strip() or type(error).__name__
    return {"error": type(error).__name__, "message": message[:2000], "line": line}


def _answer(value: Any, ask: Ask, path: str | None) -> dict[str, Any]:
    from skipstone.learn.wire import plain

    if isinstance(ask, Value):
        return {"value": plain(value)}
    if isinstance(ask, Calls):
        return {"results": list(_results(value, ask, path))}
    if isinstance(ask, KerasModel):
        return _keras_model(value, ask, path)
    return _network(value, ask)


def _results(function: Any, ask: Calls, path: str | None) -> Iterator[dict[str, Any]]:
    from skipstone.learn.wire import plain

    for case in ask.cases:
        try:
            yield {"value": plain(function(*case))}
        except Exception as error:  # noqa: BLE001 - one case is one answer
            yield {"trouble": trouble_of(error, path)}


def _network(made: Any, ask: Network) -> dict[str, Any]:
    import torch
    from torch import nn

    torch.manual_seed(ask.seed)
    model = made if isinstance(made, nn.Module) and not ask.arguments else made(*ask.arguments)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{ask.name} gives {type(model).__name__}, expected a torch.nn.Module")
    if any(map(torch.nn.parameter.is_lazy, model.parameters())):
        model.eval()(torch.zeros(ask.example))  # lazy layers take their shapes from the first run
    model.train(ask.training)
    return _recorded(model, ask)


def _keras_model(function: Any, ask: KerasModel, path: str | None) -> dict[str, Any]:
    """Real Keras, built and recorded on torch; a merge that refuses while it is built in the checker's words."""
    from skipstone.models.tutorials.keras_block import keras_on_torch
    from skipstone.programs.explanation import explain

    keras: Any = keras_on_torch()
    keras.utils.set_random_seed(ask.seed)
    x = keras.Input(ask.example[1:], batch_size=ask.example[0])
    try:
        y = function(x, *ask.arguments)
    except Exception as error:  # noqa: BLE001 - whatever the student's code raises is told
        explained = explain(error)
        found = explained.report.findings if explained is not None and explained.report is not None else ()
        return {"findings": _texts(found, ask.name), "trouble": trouble_of(error, path)}
    if not isinstance(y, keras.KerasTensor):
        raise TypeError(f"{ask.name} returns {type(y).__name__}, expected what a Keras layer gives for x")
    return _recorded(keras.Model(x, y), ask)


def _recorded(model: Any, ask: Network | KerasModel) -> dict[str, Any]:
    from skipstone.learn.wire import graph_to, tensors_to
    from skipstone.tracing import keras, trace

    graph = trace(model, ask.example)
    answer: dict[str, Any] = {"findings": _findings(model, ask)}
    if graph.stopped is None and not graph.failures:
        answer["graph"] = graph_to(graph)
        tensors = {**dict(model.named_buffers()), **dict(model.named_parameters()), **dict(keras.weights(model))}
        used = {node.name for node in graph if node.kind in ("parameter", "buffer")}
        answer["weights"] = tensors_to({name: tensor for name, tensor in tensors.items() if name in used})
    elif graph.stopped is not None:
        place = graph.stopped.place
        answer["trouble"] = {
            "error": graph.stopped.error,
            "message": graph.stopped.message,
            "line": place.line if place else None,
        }
    return answer


def _findings(model: Any, ask: Network | KerasModel) -> list[dict[str, Any]]:
    """What the checker says of the network, in its words: an explanation for the student, not a part of the verdict."""
    from skipstone.checks import check

    return _texts(check(model, ask.example, repairs=False, sizes=False, run=False).findings, type(model).__name__)


def _texts(findings: Sequence[Finding], name: str) -> list[dict[str, Any]]:
    from skipstone.checks.text import finding_text

    return [{"code": f.code, "severity": f.severity, "line": f.line, "text": finding_text(f, name)} for f in findings]
