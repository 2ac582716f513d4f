"""What is read in a step, name by name and layer by layer, while the device may still be at work on it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from torch import Tensor

from skipstone.flow.norms import Number, numbers

Rows = dict[int, list[Number]]


class Readings:
    """Numbers under a name and a layer's index, in the order they were added; `of` waits for the device, once."""

    def __init__(self) -> None:
        self._held: defaultdict[str, Rows] = defaultdict(dict)
        self._waiting = False

    def add(self, name: str, index: int, number: Number) -> None:
        rows = self._held[name]
        if index in rows:
            rows[index].append(number)
        else:
            rows[index] = [number]
        self._waiting |= isinstance(number, Tensor)

    def add_all(self, name: str, indices: Iterable[int], found: Sequence[Number]) -> None:
        """One number for each of these layers."""
        for index, number in zip(indices, found, strict=True):
            self.add(name, index, number)

    def put(self, name: str, rows: Mapping[int, float]) -> None:
        """In place of what was read under this name."""
        self._held[name] = {index: [number] for index, number in rows.items()}

    def has(self, name: str, index: int | None = None) -> bool:
        """Was anything read under this name, of this layer if one is given?"""
        rows = self._held.get(name, {})
        return bool(rows) if index is None else index in rows

    def of(self, name: str) -> Mapping[int, Sequence[float]]:
        """What was read under this name: for each layer that has any, its numbers."""
        if self._waiting:
            read = iter(numbers([n for rows in self._held.values() for row in rows.values() for n in row]))
            for rows in self._held.values():
                rows.update({index: [next(read) for _ in row] for index, row in rows.items()})
            self._waiting = False
        return cast(Mapping[int, Sequence[float]], self._held.get(name, {}))
