"""What the run of one network tells, each pass made once and only where something asks for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from torch import nn

from skipstone.execution.backward import locate_backward
from skipstone.execution.copying import copied
from skipstone.execution.inputs import Arguments, real_inputs
from skipstone.execution.passes import Pass, execute
from skipstone.execution.planning import Plan
from skipstone.execution.watching import See
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.session import asked_training

Result = TypeVar("Result")


@dataclass
class Witness:
    """Runs copies of `model` as planned. `seconds` adds up what the runs took, the copies included."""

    model: nn.Module
    plan: Plan
    seconds: float = 0.0

    def __str__(self) -> str:
        """`run: 2 x 3x16x16, forward and backward`."""
        if not self.own.ended:
            return f"run: {self.plan}, cut off after {self.plan.seconds:.0f} s"
        if self.own.raised is not None:
            return f"run: {self.plan}, ends in an error in the {self.own.raised.stage} pass"
        return f"run: {self.plan}, forward{' and backward' if self.own.learns else ''}"

    @property
    def inputs_given(self) -> bool:
        """Did the example bring the values of all its inputs?"""
        example = self.plan.example
        return not any(tensor.is_meta for tensor in tensors_in((example.args, dict(example.kwargs))))

    @cached_property
    def own(self) -> Pass:
        """Forward and backward in the model's own mode."""
        done = self.run(backward=True)
        if done.raised is None or done.raised.stage == "forward":
            return done
        arguments = self.arguments()
        found = self._timed(lambda: locate_backward(copied(self.model), arguments, seed=0, seconds=self._left))
        return done if found is None else replace(done, raised=found)

    @cached_property
    def evaluation(self) -> Pass:
        """Forward in evaluation mode, without gradients."""
        return self.run(training=False)

    def arguments(self, seed: int = 0, *, given: bool = True) -> Arguments:
        """The inputs of a run; another `seed` draws others, `given` = False also where the example brought values."""
        return real_inputs(self.plan.example, self.plan.graph, self.model, seed=seed, given=given)

    def run(
        self,
        arguments: Arguments | None = None,
        *,
        seed: int = 0,
        training: bool | None = None,
        backward: bool = False,
        see: See | None = None,
    ) -> Pass:
        """One pass of a fresh copy. `seed`: of the random numbers drawn in it; `training`: the mode if not its own."""
        given = self.arguments() if arguments is None else arguments
        mode = asked_training() if training is None else training

        def once() -> Pass:
            clone = copied(self.model)
            if mode is not None:
                clone.model.train(mode)
            return execute(clone, given, seed=seed, backward=backward, seconds=self._left, see=see)

        return self._timed(once)

    @property
    def _left(self) -> float:
        return self.plan.seconds - self.seconds

    def _timed(self, work: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds += time.perf_counter() - start
