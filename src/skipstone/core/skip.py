"""A skip connection: two or more paths that leave one tensor and meet again."""

from dataclasses import dataclass
from typing import Literal

SkipKind = Literal[
    "identity", "projection", "resample", "norm", "bridge", "gate", "parallel", "conditioning", "score-bias", "trivial"
]
Merge = Literal["add", "mul", "cat", "max", "mean"]


@dataclass(frozen=True, slots=True)
class Skip:
    """One operand edge into a merge.

    `source` and `target` are readable ends (module paths, `input` for the model's input); `source_node`, `merge_node`,
    `main_operand` and `short_operand` index the graph's nodes; `shortcut` and `main` list the nodes on each branch
    between the ends. `span` is the number of layers the skip jumps over; `cost` the bytes kept alive by it.
    """

    index: int
    kind: SkipKind
    merge: Merge
    source: str
    target: str
    module: str
    span: int
    source_node: int
    merge_node: int
    main_operand: int
    short_operand: int
    main: tuple[int, ...]
    shortcut: tuple[int, ...]
    shortcut_ops: tuple[str, ...]
    file: str | None
    line: int | None
    cost: int

    @property
    def is_block_skip(self) -> bool:
        """Is it a skip connection in the papers' sense, rather than a gate, a parallel branch or arithmetic?"""
        return self.kind in ("identity", "projection", "resample", "norm", "bridge")
