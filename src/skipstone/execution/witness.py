"""What the run of one network tells, each pass made once and only where something asks for it."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from torch import nn

from skipstone.execution.backward import locate_backward
from skipstone.execution.copying import RealClone, copied
from skipstone.execution.held import Key, changed, held, restore
from skipstone.execution.inputs import Arguments, real_inputs
from skipstone.execution.passes import Call, Pass, execute_all
from skipstone.execution.planning import Plan, draws
from skipstone.execution.watching import See
from skipstone.tracing.deadline import Moment
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.session import asked_training

Result = TypeVar("Result")
_ANOTHER = 1  # the seed of a second evaluation pass


@dataclass(frozen=True)
class Twice:
    """Two passes of one copy; `changed` is what the first one left otherwise than it was."""

    one: Pass
    two: Pass
    changed: tuple[Key, ...]

    @property
    def steady(self) -> bool:
        return self.one.ran and self.two.ran and self.one.equals(self.two)


@dataclass
class Witness:
    """Runs copies of `model` as planned.

    `seconds` adds up what the runs took by the clock, the copies included; `spent` what counts against the plan's.
    """

    model: nn.Module
    plan: Plan
    seconds: float = 0.0
    spent: float = 0.0

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
        found = self._timed(
            lambda: locate_backward(copied(self.model), arguments, seed=0, seconds=self._left, draws=self._draws)
        )
        return done if found is None else replace(done, raised=found)

    @cached_property
    def evaluation(self) -> Pass:
        """Forward in evaluation mode, without gradients."""
        return self._evaluations[0]

    @property
    def again(self) -> Pass:
        """A second call of the copy that `evaluation` ran, on the same input and under other random numbers."""
        return self._evaluations[-1]

    @cached_property
    def _evaluations(self) -> list[Pass]:
        return self._calls([0, _ANOTHER], training=False)

    def twice(
        self,
        *,
        training: bool | None = None,
        backward: bool = False,
        put_back: Collection[Key] = (),
        see: tuple[See | None, See | None] = (None, None),
    ) -> Twice:
        """Two passes of one fresh copy, on the same input and under the same random numbers.

        Args:
            put_back: what is as before the first pass when the second begins.
            see: what looks on at either pass.
        """
        clone = copied(self.model)
        before = held(clone)
        left: list[Key] = []

        def behind() -> None:
            if not left:
                left.extend(changed(before, held(clone)))
                restore(clone, before, put_back)

        one, *two = self._calls([0, 0], clone=clone, training=training, backward=backward, see=see, behind=behind)
        return Twice(one, two[0] if two else one, tuple(left))

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
        return self._calls([seed], arguments, training=training, backward=backward, see=[see])[0]

    def _calls(
        self,
        seeds: Sequence[int],
        arguments: Arguments | None = None,
        *,
        clone: RealClone | None = None,
        training: bool | None = None,
        backward: bool = False,
        see: Sequence[See | None] = (),
        behind: Callable[[], None] = lambda: None,
    ) -> list[Pass]:
        """Calls of one copy, one after another."""
        mode = asked_training() if training is None else training

        def work() -> list[Pass]:
            on = copied(self.model) if clone is None else clone
            if mode is not None:
                on.model.train(mode)
            looks = [*see, *[None] * len(seeds)]
            given = [self.arguments() if arguments is None else arguments for _ in seeds]
            calls = [Call(*call) for call in zip(given, seeds, looks, strict=False)]
            return execute_all(on, calls, backward=backward, seconds=self._left, draws=self._draws, behind=behind)

        return self._timed(work)

    @cached_property
    def _draws(self) -> bool:
        return draws(self.plan.graph)

    @property
    def _left(self) -> float:
        return self.plan.seconds - self.spent

    def _timed(self, work: Callable[[], Result]) -> Result:
        begun = Moment.now()
        try:
            return work()
        finally:
            self.seconds += time.monotonic() - begun.clock
            self.spent += begun.spent()
