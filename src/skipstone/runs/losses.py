"""When a run that keeps being lost is given up: a node, or a process, that dies without a word may die again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Losses:
    """Losses of one run; those with an epoch in between don't count together, so that a long run outlives many nodes.

    `epochs` are those that the run had when it was started last.
    """

    allowed: int
    epochs: int = 0
    count: int = 0

    def bearable(self, epochs: int) -> bool:
        """Note that the run was lost with so many epochs behind it: is it worth another start?"""
        self.count = 1 if epochs > self.epochs else self.count + 1
        self.epochs = epochs
        return self.count <= self.allowed

    @property
    def said(self) -> str:
        return f"lost {self.count} times without an epoch in between"
