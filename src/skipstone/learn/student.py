"""The process that runs a student's file: `python -m skipstone.learn.student`, walls first, then the file.

It reads one request from stdin, a line of JSON, and writes one line of JSON an answer to what was its stdout; what the
student's code prints goes elsewhere. With `serve` it stays, takes a request a line and forks a process for each, so
that torch is imported once for a whole class; it runs nothing of a student's itself.
"""

import json
import os
import sys
from collections.abc import Iterable
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skipstone.learn.asks import Ask

Request = dict[str, Any]


def main(arguments: list[str]) -> None:
    """One request, or with `serve` as many as come."""
    from skipstone.learn import walls

    done = walls.isolate()
    if arguments == ["serve"]:
        _serve(done)
        return
    request = json.loads(sys.stdin.readline())
    answers = os.dup(1)
    os.dup2(2, 1)
    run(request, answers, done)


def run(request: Request, answers: int, walls_up: tuple[str, ...]) -> None:
    """Run one student's file behind the walls; the answers go to the descriptor `answers`."""
    from skipstone.learn import walls
    from skipstone.learn.asks import from_wire
    from skipstone.learn.gather import TimeUp, run_file

    def emit(answer: dict[str, Any]) -> None:
        os.write(answers, json.dumps(answer).encode() + b"\n")

    def time_is_up(frame: FrameType | None) -> None:
        while frame is not None and frame.f_code.co_filename != path:
            frame = frame.f_back
        line = frame.f_lineno if frame else None
        emit({"trouble": {"error": "TimeUp", "message": "its time is up", "line": line}})
        raise TimeUp

    path, limits = request["path"], request["limits"]
    asks = from_wire(request["asks"])
    _prepare(asks)
    _seed()
    emit({"walls": list(walls_up)})
    os.chdir(request["work"])
    walls.limit(**limits, when_up=time_is_up)
    walls.forbid(request["work"])
    run_file(path, asks, emit)
    emit({"end": True})


def _prepare(asks: "Iterable[Ask]" = ()) -> None:
    """What an answer needs is imported before the walls stand; one thread, for numbers that repeat.

    For networks a small one is recorded and checked as an answer is: torch imports half of what that takes only where
    it is first used, a quarter of a second that each process forked from a server would pay anew. So does Keras.
    """
    from skipstone.tracing.startup import postpone_dynamo

    postpone_dynamo()
    import torch

    torch.set_num_threads(1)
    for kind in {type(ask).__name__ for ask in asks}:
        _warm(kind)


def _seed() -> None:
    """What a student's code draws without a seed of its own is the same each time, and so is its grade."""
    import random

    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@cache
def _warm(kind: str) -> None:
    from skipstone.learn.asks import KerasModel, Network
    from skipstone.learn.gather import gather

    if kind == Network.__name__:
        from skipstone.models.tutorials.finished_cnn import FinishedCNN

        gather({"any": FinishedCNN(widths=(4, 8), blocks_per_stage=1)}, None, [Network("any", (2, 3, 8, 8))], _ignore)
    elif kind == KerasModel.__name__:
        gather({"any": _small_keras_model}, None, [KerasModel("any", (2, 8, 8, 3))], _ignore)
        if keras := sys.modules.get("keras"):
            keras.utils.clear_session()  # layers are numbered from 1 again


def _ignore(answer: dict[str, Any]) -> None:
    pass


def _small_keras_model(x: Any) -> Any:
    from keras import layers

    return layers.Add()([x, layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu")(x)])


def _serve(walls_up: tuple[str, ...]) -> None:
    """A process a request, until stdin ends. A line on stdout tells how each ended."""
    from skipstone.learn.asks import Network, from_wire

    _prepare()
    _warm(Network.__name__)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        _prepare(from_wire(request["asks"]))
        child = os.fork()
        if child == 0:
            _become(request, walls_up)
        print(json.dumps(_wait(child, request["wall_seconds"])), flush=True)


def _become(request: Request, walls_up: tuple[str, ...]) -> None:
    """The forked process: its own session, nothing of the server's open; ends without returning."""
    status = 1
    try:
        os.setsid()
        answers = os.open(request["answers"], os.O_WRONLY | os.O_APPEND)
        printed = os.open(request["printed"], os.O_WRONLY | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.closerange(3, answers)
        os.closerange(answers + 1, 256)
        run(request, answers, walls_up)
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)


def _wait(child: int, wall_seconds: float) -> dict[str, Any]:
    """How the process ended: its status, or a negative signal, or that it was ended for want of an end."""
    import signal
    import time

    end = time.monotonic() + wall_seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return {"status": os.waitstatus_to_exitcode(status)}
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"status": None}
        time.sleep(0.005)


if __name__ == "__main__":
    main(sys.argv[1:])
