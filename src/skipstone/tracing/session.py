"""Setting up a record, the one place that knows how: the lock, what torch and the process are told, and the way back.

One record at a time is made in a process; a thread that makes one may make another within it (a check in a forward
hook). Modes and transforms of functions under way around it (another fake mode, vmap, a default device "meta", under
which nothing could run) do not reach into a record; autocast, the default dtype and any other default device do, as
they would into a real pass. Nothing that this module changes is seen by another thread.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import ModuleCall
from skipstone.tracing import keras, known_forms
from skipstone.tracing.blame import pass_on, raise_if_ours
from skipstone.tracing.bypass import watched_functions
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.deadline import OutOfTime, call_foreign, time_limit
from skipstone.tracing.interpreter import raises
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.outside import outside_kept
from skipstone.tracing.position import is_ours
from skipstone.tracing.randomness import own_random_numbers
from skipstone.tracing.recorder import Recorder
from skipstone.tracing.refusals import GO_ON, Refusals
from skipstone.tracing.startup import compiles, is_of_compiler, uncompiled
from skipstone.tracing.torch_internals import (
    LOGGERS,
    bare_surroundings,
    enable_python_dispatcher,
    fake_mode,
    flex_attention_spelled_out,
)

SECONDS = 60.0  # what one record may take; the largest public networks take about three
Arguments = tuple[tuple[object, ...], Mapping[str, object]]

_LOCK = threading.RLock()


class _Local(threading.local):
    depth = 0  # of the passes of ours that this thread is in


_local = _Local()

Mode = Literal["train", "eval"]
_ASKED: ContextVar[bool | None] = ContextVar("training", default=None)


def training_in(mode: Mode | None) -> bool | None:
    """What `nn.Module.training` is in a mode; None for none, the mode that each module is in."""
    if mode not in (None, "train", "eval"):
        raise SkipstoneError(f"mode is {mode!r}, expected 'train' or 'eval'")
    return None if mode is None else mode == "train"


@contextmanager
def asked_for(mode: Mode | None) -> Iterator[None]:
    """Within it every record and run is made in this mode; None: in the modes that the model's modules are in.

    The model itself is never put into it: only twins and copies are.
    """
    token = _ASKED.set(training_in(mode))
    try:
        yield
    finally:
        _ASKED.reset(token)


def asked_training() -> bool | None:
    """The mode asked for around here, as `nn.Module.training` says it; None where none is."""
    return _ASKED.get()


@dataclass
class Pass:
    """A forward pass as far as it went: what was recorded, what it returned, the error that ended it, if one did."""

    clone: FakeClone
    recorder: Recorder
    modes: Mapping[str, bool]  # of each module, by path: was it in training?
    inputs: tuple[int, ...]
    calls: tuple[ModuleCall, ...]
    result: object
    error: BaseException | None


def run(
    model: nn.Module,
    arguments: Callable[[FakeClone], Arguments],
    *,
    refusals: Refusals = GO_ON,
    out_of_place: bool = False,
    training: bool | None = None,
    symbolic: bool = False,
    gradients: bool = True,
    seconds: float = SECONDS,
) -> Pass:
    """Run a twin of `model` on fake tensors and record it.

    Args:
        arguments: makes what the twin is called with, under its fake mode.
        refusals: what happens where torch refuses an operation.
        out_of_place: treat `inplace=True` and augmented assignments as if they made new tensors.
        training: the mode the twin is put into, by default that of `asked_for`; without any, each of its modules stays
            in the mode of its original.
        symbolic: the arguments may have sizes that stand for many.
        gradients: follow what autograd keeps, and what it refuses.
        seconds: after about this long the pass ends with `OutOfTime` as its error.
    """
    training = _ASKED.get() if training is None else training

    def one(*, linked: bool) -> Pass:
        fake = fake_mode(known_forms.answer, cached=not symbolic)
        clone = FakeClone(model, fake)
        recorder = Recorder(clone, refusals, out_of_place=out_of_place)
        with ExitStack() as stack:
            stack.enter_context(time_limit(seconds))
            args, kwargs = arguments(clone)
            stack.enter_context(fake)
            stack.enter_context(torch.set_grad_enabled(gradients))
            stack.enter_context(enable_python_dispatcher() if symbolic else nullcontext())
            if training is not None:
                _put_into_mode(clone.model, training, recorder)
            modes = {path: module.training for path, module in keras.named_modules(clone.model)}
            recorder.watch(clone.modules())
            inputs = tuple(
                recorder.add("input", "input", (), tensor, name=f"input{i}")
                for i, tensor in enumerate(tensors_in((args, kwargs)))
            )
            result, error = _outcome(recorder, args, kwargs, linked=linked)
        return Pass(clone, recorder, modes, inputs, recorder.finish(), result, error)

    # Looking at every call inside torch's operations costs a tenth of a record, and few networks need it: those with
    # functions that torch does not show, and compiled ones, whose compiler it also holds back.
    linked = compiles()
    with undisturbed(model), uncollected():
        done = one(linked=linked)
    if not linked and _needs_link(done):
        with undisturbed(model), uncollected():
            done = one(linked=True)
    return done


def _needs_link(done: Pass) -> bool:
    return is_of_compiler(done.error) or (done.recorder.lost_thread and not isinstance(done.error, OutOfTime))


def _outcome(
    recorder: Recorder, args: tuple[object, ...], kwargs: Mapping[str, object], *, linked: bool
) -> tuple[object, BaseException | None]:
    try:
        with (
            recorder.link if linked else nullcontext(),
            watched_functions(lambda: len(recorder.nodes), recorder.ran_inside, recorder.checkpoints),
            recorder,
        ):
            return call_foreign(pass_on, recorder.clone.model, args, kwargs), None
    except BaseException as error:  # whatever the user's forward raises is an answer, `sys.exit()` included
        if is_interrupt(error):
            raise
        if isinstance(error, Exception):
            raise_if_ours(error)
        return None, error


def _put_into_mode(twin: nn.Module, training: bool, recorder: Recorder) -> None:
    """Call the twin's own `train`: it may do more than set flags (merge weights, keep a norm in evaluation)."""
    try:
        call_foreign(pass_on, twin.train, (training,))
    except Exception as error:  # noqa: BLE001 - code of the user's may raise anything; the flags are what is left
        for module in twin.modules():
            module.training = training
        recorder.assume(f"took train({training}), which raises {type(error).__name__} here, as setting flags alone")


@contextmanager
def undisturbed(model: nn.Module | None = None) -> Iterator[None]:
    """One at a time; random states, grad mode and torch's settings as they were; torch's own complaints unheard.

    What code of the model's writes to besides its instance is put back too.
    """
    outside = outside_kept(model) if model is not None else nullcontext()
    with (
        _LOCK,
        _at_work(),
        bare_surroundings(),
        uncompiled(),
        flex_attention_spelled_out(),
        torch.inference_mode(False),
        own_random_numbers(),
        _unheard(),
        keras.plain_errors(),
        outside,
    ):
        yield


@contextmanager
def uncollected() -> Iterator[None]:
    """A record and its reading make ten thousands of objects and little garbage: Python need not look through them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def at_work() -> bool:
    """Does this thread record or run a network for us right now?"""
    return _local.depth > 0


@contextmanager
def _at_work() -> Iterator[None]:
    _local.depth = _local.depth + 1
    try:
        yield
    finally:
        _local.depth -= 1


@contextmanager
def _unheard() -> Iterator[None]:
    """What torch logs in this thread about refusals that are recorded anyway is left out."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(elsewhere)


def is_interrupt(error: BaseException) -> bool:
    """Is it a Ctrl-C, rather than a KeyboardInterrupt that the code itself raises? Then its last step says `raise`."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or is_ours(traceback.tb_frame.f_code.co_filename):  # a signal's handler of ours
        return True
    return not raises(traceback.tb_frame, traceback.tb_lasti)
