"""What a rule looks at: the recorded network and, when asked for, records of it under other circumstances."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from skipstone.core.finding import SizeSummary
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip
from skipstone.execution import NotRun, Plan, Run, Witness, plan
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.axes import Axes, axes_of
from skipstone.graphs.layout import Layout
from skipstone.skips.find import skips_of
from skipstone.tracing import Example, keras, parse_example, trace
from skipstone.tracing.example import resized
from skipstone.tracing.session import asked_training


@dataclass
class Subject:
    """One network under check. `example` is what it was recorded with; every other record is made once, when needed.

    `run` and `budget` (seconds) say whether it may really be run; see `skipstone.execution`.
    """

    model: nn.Module
    example: Example
    graph: Graph
    run: Run = False
    budget: float = 0.5
    _variants: dict[object, Graph] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module, example: object, *, run: Run = False, budget: float = 0.5) -> "Subject":
        parsed = parse_example(example)
        return cls(model, parsed, trace(model, parsed), run, budget)

    @property
    def training(self) -> bool:
        """Is it checked as in training?"""
        asked = asked_training()
        return self.model.training if asked is None else asked

    @cached_property
    def plan(self) -> Plan | NotRun:
        """At which size the network is run, or why it is not."""
        return plan(self.model, self.example, self.graph, run=self.run, budget=self.budget)

    @cached_property
    def witness(self) -> Witness | None:
        """What a real run tells, None where there is none."""
        return Witness(self.model, self.plan) if isinstance(self.plan, Plan) else None

    @property
    def ran(self) -> str:
        """Whether the network was run, and how far, in words."""
        return str(self.plan) if self.witness is None else str(self.witness)

    def module_at(self, path: str) -> nn.Module:
        """The module at a dotted path of the record, "" for the model itself."""
        return self.modules[path]

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """Every module by its dotted path of the record, each once."""
        return dict(keras.named_modules(self.model))

    @cached_property
    def ancestry(self) -> Ancestry:
        return Ancestry(self.graph)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.graph)

    @cached_property
    def axes(self) -> tuple[Axes, ...]:
        """Where each axis of each node comes from."""
        return axes_of(self.graph)

    @cached_property
    def skips(self) -> tuple[Skip, ...]:
        return skips_of(self.graph, self.ancestry)

    @cached_property
    def out_of_place(self) -> Graph:
        """The same pass with in-place flags and augmented assignments taken as making new tensors."""
        return trace(self.model, self.example, out_of_place=True)

    @cached_property
    def sizes(self) -> tuple[SizeSummary, ...]:
        """The legal sizes of each axis that matters, as far as a short search goes."""
        from skipstone.sizes import summaries  # only a network with a fault waits for it

        return summaries(self.model, self.example, run=self.run, budget=self.budget)

    def with_batch(self, size: int) -> Graph:
        """The same pass with another size of the first axis, for every input tensor that shares the first input's."""
        return self._variant(("batch", size), lambda shape: (size, *shape[1:]), first_axis=True)

    def with_axis(self, axis: int, size: int) -> Graph:
        """The same pass with another size of one axis of the first input."""
        return self._variant(
            ("axis", axis, size), lambda shape: (*shape[:axis], size, *shape[axis + 1 :]), first_axis=False
        )

    def in_mode(self, training: bool) -> Graph:
        """The same pass in training or evaluation mode."""
        if self.training == training:
            return self.graph
        key = ("mode", training)
        if key not in self._variants:
            self._variants[key] = trace(self.model, self.example, mode="train" if training else "eval")
        return self._variants[key]

    def _variant(self, key: object, change: Callable[[tuple[int, ...]], tuple[int, ...]], *, first_axis: bool) -> Graph:
        if key not in self._variants:
            self._variants[key] = trace(self.model, resized(self.example, change, every=first_axis))
        return self._variants[key]
