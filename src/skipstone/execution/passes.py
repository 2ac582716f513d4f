"""One pass of a copy, forward and perhaps backward: what it returned, or what was raised and where."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from types import FrameType
from typing import Any, Literal

import torch

from skipstone.core.errors import text_of
from skipstone.core.graph import Place
from skipstone.execution.containment import begin_random_numbers, contained
from skipstone.execution.copying import RealClone
from skipstone.execution.held import tensors_held
from skipstone.execution.inputs import Arguments
from skipstone.execution.sketches import alike, sketch
from skipstone.execution.watching import See, Watch
from skipstone.tracing.deadline import OutOfTime, call_foreign, time_limit
from skipstone.tracing.gradients import grad_fn_of
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.position import raised_at
from skipstone.tracing.randomness import alone
from skipstone.tracing.session import is_interrupt
from skipstone.tracing.torch_internals import running_module

Stage = Literal["forward", "backward"]


@dataclass(frozen=True, slots=True)
class Raised:
    """What a pass raised: in words, at which stage, in which module ("" for the root) and line, by which operation.

    `op` is empty where the network's own code raised; `time` tells how often it had begun in that module, from 1;
    `operands` are the shapes that it met.
    """

    error: str
    message: str
    stage: Stage
    module: str
    place: Place | None
    op: str = ""
    time: int = 0
    operands: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


@dataclass(frozen=True)
class Pass:
    """What one pass gave. `ended` is False where it was cut off because its time was up.

    `result` is what the model returned, `outputs` its tensors in flattened order; `clone` the copy that ran, with its
    gradients; `leaves` what the backward pass would give gradients to; `read` the parameters that were read, each with
    whether that was inside a checkpoint; `registered` the ids of the weights that the copy knew of when it had run;
    `keeps_graph`: behind its backward pass an attribute held what was made in it; `ops`: the operations that ran.
    """

    clone: RealClone
    result: object = None
    outputs: tuple[torch.Tensor, ...] = ()
    raised: Raised | None = None
    ended: bool = True
    leaves: tuple[torch.Tensor, ...] = ()
    registered: frozenset[int] = frozenset()
    read: Mapping[str, bool] = field(default_factory=dict)
    keeps_graph: bool = False
    ops: frozenset[str] = frozenset()

    @property
    def ran(self) -> bool:
        return self.ended and self.raised is None

    def equals(self, other: "Pass") -> bool:
        """Did both passes return the same values?"""
        pairs = zip_longest(self.outputs, other.outputs)
        return all(a is not None and b is not None and alike(sketch(a), sketch(b)) for a, b in pairs)

    @property
    def learns(self) -> bool:
        """Does a gradient reach back from an output at all?"""
        return any(output.requires_grad for output in self.outputs)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a copy: what with, the seed of the random numbers drawn in it, what looks on."""

    arguments: Arguments
    seed: int = 0
    see: See | None = None


def execute(
    clone: RealClone,
    arguments: Arguments,
    *,
    seed: int = 0,
    backward: bool = False,
    seconds: float = 60.0,
    draws: bool = True,
    see: See | None = None,
) -> Pass:
    """Run the copy; the loss of the backward pass is the sum of the squares of all outputs that have a gradient.

    Whatever the network's code raises, `sys.exit()` included, ends in `Pass.raised`.
    """
    return execute_all(clone, [Call(arguments, seed, see)], backward=backward, seconds=seconds, draws=draws)[0]


def execute_all(
    clone: RealClone,
    calls: Sequence[Call],
    *,
    backward: bool = False,
    seconds: float = 60.0,
    draws: bool = True,
    behind: Callable[[], None] = lambda: None,
) -> list[Pass]:
    """Run the copy again and again, as far as its passes end; what one leaves on it the next one meets.

    The outputs of all but the last are copies, without a graph: the next call may write to what the model returned.
    `behind` is called behind each. `draws` says that the network draws random numbers of torch: they are the
    process's, and beside other threads their generator is left alone where it need not be touched.
    """
    passes: list[Pass] = []
    touched = draws or alone()
    try:
        with contained(clone.model, draws=touched), time_limit(seconds):
            for number, call in enumerate(calls, 1):
                begin_random_numbers(call.seed, draws=touched)
                passes.append(_one(Watch(clone, call.see), call.arguments, backward))
                if not passes[-1].ran:
                    break
                if number < len(calls):
                    passes[-1] = _apart(passes[-1])
                behind()
    except OutOfTime:
        passes.append(Pass(clone, ended=False))
    return passes


def _one(watch: Watch, arguments: Arguments, backward: bool) -> Pass:
    done = _forward(watch, arguments, _collects(arguments) or backward)
    return _backward(watch, done) if backward and done.ran and done.learns else done


def _apart(done: Pass) -> Pass:
    with torch.no_grad():
        return replace(done, outputs=tuple(output.detach().clone() for output in done.outputs))


def _collects(arguments: Arguments) -> bool:
    return any(tensor.requires_grad for tensor in tensors_in(arguments))


def _forward(watch: Watch, arguments: Arguments, gradients: bool) -> Pass:
    args, kwargs = arguments
    try:
        with torch.set_grad_enabled(gradients), watch.following():
            result = call_foreign(watch.clone.model, *args, **kwargs)
    except OutOfTime:
        raise
    except BaseException as error:  # whatever the user's forward raises is what is asked for
        if is_interrupt(error):
            raise
        return Pass(watch.clone, raised=_raised(error, watch, "forward"))
    outputs = tuple(tensors_in(result))
    leaves = tuple(_leaves(outputs)) if gradients else ()
    # Now: a layer that made its weights in this pass (Keras builds a layer at its first call) is put back behind it.
    registered = frozenset(map(id, watch.clone.model.parameters()))
    return Pass(
        watch.clone,
        result,
        outputs,
        leaves=leaves,
        registered=registered,
        read=watch.read,
        ops=frozenset(op for op, _ in watch.counts),
    )


def _backward(watch: Watch, done: Pass) -> Pass:
    try:
        with watch, _without_gradients(watch.clone, done.leaves):
            call_foreign(torch.autograd.backward, _loss(done.outputs))
    except OutOfTime:
        raise
    except BaseException as error:  # so is what its backward raises
        if is_interrupt(error):
            raise
        return replace(done, raised=_raised(error, watch, "backward"))
    return replace(done, keeps_graph=any(tensor.grad_fn is not None for tensor in tensors_held(watch.clone)))


@contextmanager
def _without_gradients(clone: RealClone, leaves: tuple[torch.Tensor, ...]) -> Iterator[None]:
    """What is no part of the copy (a module that the user's file keeps for all) has the gradient it had, behind it."""
    strangers = [leaf for leaf in leaves if not clone.owns(leaf)]
    before = [leaf.grad for leaf in strangers]
    for leaf in strangers:
        leaf.grad = None
    try:
        yield
    finally:
        for leaf, gradient in zip(strangers, before, strict=True):
            leaf.grad = gradient


def _loss(outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    learning = [output for output in outputs if output.requires_grad]
    return torch.stack([output.abs().float().square().sum().cpu() for output in learning]).sum()


def _leaves(outputs: tuple[torch.Tensor, ...]) -> Iterator[torch.Tensor]:
    """The tensors at which the autograd graph of the outputs ends."""
    pending: list[Any] = [made for output in outputs if (made := grad_fn_of(output)) is not None]
    seen = set(pending)
    while pending:
        function = pending.pop()
        if hasattr(function, "variable"):
            yield function.variable
        for following, _ in function.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)


def _raised(error: BaseException, watch: Watch, stage: Stage) -> Raised:
    frames = list(_frames(error))
    running = [module for frame, _ in frames if (module := running_module(frame)) is not None]
    own = [place for frame in frames if (place := raised_at(*frame)) is not None]
    text = text_of(error).split("\n")[0]
    return Raised(
        type(error).__name__,
        text or type(error).__name__,
        stage,
        watch.clone.paths.get(id(running[-1]), "") if running else "",
        own[-1] if own else None,
        *(watch.refused if error is watch.refusal else ("", 0, ())),
    )


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lasti
        traceback = traceback.tb_next
