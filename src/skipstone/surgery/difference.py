"""Which skips two networks do not share: gained, lost, moved, or of another kind."""

from dataclasses import dataclass

from torch import nn

from skipstone.core.codec import Json, encode
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip
from skipstone.skips import find_skips


@dataclass(frozen=True, slots=True)
class Change:
    """One skip before and after."""

    before: Skip
    after: Skip


@dataclass(frozen=True, slots=True)
class SkipDiff:
    """The difference from network a to network b. `kept` counts the skips that both have.

    A skip is `moved` where it ends in the same module and starts elsewhere, and `changed` where its ends are the same
    and its kind, merge or span is not.
    """

    gained: tuple[Skip, ...]
    lost: tuple[Skip, ...]
    moved: tuple[Change, ...]
    changed: tuple[Change, ...]
    kept: int

    @property
    def equal(self) -> bool:
        return not (self.gained or self.lost or self.moved or self.changed)

    def to_dict(self) -> Json:
        """The difference as JSON, version 1."""
        return encode(self, version=1)

    def __str__(self) -> str:
        lines = [f"- lost     {_line(skip)}" for skip in self.lost]
        lines += [f"+ gained   {_line(skip)}" for skip in self.gained]
        lines += [f"~ moved    {_line(c.after)} (was {c.before.source}: {_what(c.before)})" for c in self.moved]
        lines += [f"~ changed  {_line(c.after)} (was {_what(c.before)})" for c in self.changed]
        same = f"{self.kept} skip{'s' if self.kept != 1 else ''} in both"
        return "\n".join([*lines, same])


def diff(model_a: nn.Module | Graph, model_b: nn.Module | Graph, example: object = None) -> SkipDiff:
    """What skips were gained, lost, moved or changed from one network to another.

    Takes modules and an example input, or recorded graphs. Told are changes of skip connections and concatenations;
    a gate, a parallel branch or arithmetic counts only where it was or has become one of those.
    """
    before, after = (list(find_skips(model, example)) for model in (model_a, model_b))
    kept = _taken(before, after, lambda s: (s.source, s.target, s.merge, s.kind, s.span))
    changed = _taken(before, after, lambda s: (s.source, s.target))
    moved = _taken(before, after, lambda s: (s.target, s.merge))
    pairs = [tuple(Change(a, b) for a, b in some if a.is_block_skip or b.is_block_skip) for some in (moved, changed)]
    gained, lost = (tuple(skip for skip in some if skip.is_block_skip) for some in (after, before))
    return SkipDiff(gained, lost, pairs[0], pairs[1], sum(a.is_block_skip for a, _ in kept))


def _taken(before: list[Skip], after: list[Skip], key) -> list[tuple[Skip, Skip]]:  # type: ignore[no-untyped-def]
    """Pairs of equal key, in order, taken out of both lists."""
    pairs: list[tuple[Skip, Skip]] = []
    waiting: dict[object, list[Skip]] = {}
    for skip in before:
        waiting.setdefault(key(skip), []).append(skip)
    for skip in list(after):
        if waiting.get(key(skip)):
            pairs.append((waiting[key(skip)].pop(0), skip))
    for a, b in pairs:
        before.remove(a)
        after.remove(b)
    return pairs


def _what(skip: Skip) -> str:
    return f"{skip.kind} {skip.merge} over {skip.span} layer{'s' if skip.span != 1 else ''}"


def _line(skip: Skip) -> str:
    where = f" ({skip.file}:{skip.line})" if skip.file else ""
    return f"{skip.source} -> {skip.target}: {_what(skip)}{where}"
