"""Kept between calls: what one call leaves on the network changes the next one.

What it finds:
    An attribute that `forward` writes and the next call reads: a hidden state that is never begun anew, a list that
    grows, a weight or buffer that an in-place operation on something made of it overwrites. The run shows it: the same
    copy, called twice in evaluation on one input, gives two results, and one again once the attribute is put back. So
    does a training step after another that ends in "backward through the graph a second time".
    Left alone is what may be meant: buffers that the class writes to itself (memory banks, moving averages), counters,
    and state that a method resets, that the file sets from outside, that a switch or argument guards, that the class's
    name or docstring tells of, that a recurrent network detaches.
Why it matters:
    A prediction depends on what was asked before; the state of one batch does not fit the next one's size; the second
    training step raises or walks back through the first.
Example:
    `out, self.hidden = self.gru(x, self.hidden)`.
Repair:
    None is proposed: a local variable, or begin with `self.hidden = None` in each call.
Effect of the repair:
    The first call's result in every call.
References:
    PyTorch tutorials, "Sequence models and long short-term memory networks": the state is given in each call.
"""

import ast
from collections.abc import Iterator

from skipstone.checks.meant import Write, called_by, keeps_on_purpose, own_methods, writes
from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.source import place_of
from skipstone.checks.subject import Subject
from skipstone.core.graph import Place
from skipstone.execution import Key, Step, Stream, Twice, Witness, parting

RULE = Rule("SK409", "kept-between-calls", "warning", "a second call on one input gives something else")

_TRIED = 12  # attributes that are put back one by one
_SECOND_TIME = "second time"  # of torch's words where a graph is walked twice


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not witness.evaluation.ran:
        return
    for training in (False, None):
        if not (_differs(witness) if training is False else witness.own.keeps_graph):
            continue
        twice = witness.twice(training=training, backward=training is None)
        keys = _culprits(witness, twice, training) if _is_told(twice, training) else ()
        if keys and not any(_is_meant(subject, key) for key in keys):
            yield _fault(subject, twice, keys, None if training is None else _difference(witness))
            return


def _differs(witness: Witness) -> bool:
    return not (witness.again.ran and witness.evaluation.equals(witness.again))


def _is_told(twice: Twice, training: bool | None) -> bool:
    if twice.steady or not (twice.one.ran and twice.two.ended):
        return False
    if training is None:
        return twice.two.raised is not None and _SECOND_TIME in twice.two.raised.message
    return True


def _culprits(witness: Witness, twice: Twice, training: bool | None) -> tuple[Key, ...]:
    """The fewest things whose being put back makes the second call like the first: one, all of one module, or all."""
    every = twice.changed
    modules = dict.fromkeys(key.path for key in every)
    tried = [
        *((key,) for key in every[:_TRIED]),
        *(tuple(key for key in every if key.path == path) for path in list(modules)[:_TRIED]),
        every,
    ]
    for keys in dict.fromkeys(tried):
        again = witness.twice(training=training, backward=training is None, put_back=keys)
        if again.steady or (training is None and again.one.ran and again.two.ran):
            return keys
    return ()


def _is_meant(subject: Subject, key: Key) -> bool:
    module = subject.module_at(key.path)
    if key.kind == "attribute":
        value = vars(module).get(key.name)
        return isinstance(value, bool | int | float | str) or keeps_on_purpose(module, key.name)
    return "forward" not in own_methods(type(module)) or bool(writes(type(module), key.name))


def _difference(witness: Witness) -> Step | None:
    """The first operation of a second call that gives something else than in the first."""
    one, two = Stream(), Stream()
    witness.twice(training=False, see=(one.see, two.see))
    first, second = parting(one, two)
    return second or first


def _fault(subject: Subject, twice: Twice, keys: tuple[Key, ...], step: Step | None) -> Fault:
    graph, key = subject.graph, keys[0]
    read = step.place if step is not None else None
    written = _written(subject, key)
    place = written or read
    node = next((node for node in graph if place and node.place and _line(node.place) == _line(place)), None)
    where = Where(node.index if node is not None else len(graph) - 1, key.path, place)
    return Fault(where, _message(twice, keys, read if read and written and _line(read) != _line(written) else None))


def _message(twice: Twice, keys: tuple[Key, ...], read: Place | None) -> str:
    names = " and ".join(f"self.{name}" for name in dict.fromkeys(k.name for k in keys if k.path == keys[0].path))
    how = "one call writes" if keys[0].kind == "attribute" else "one call overwrites in place"
    if twice.two.raised is not None:
        return f"{names}, which {how}, makes the next one raise {twice.two.raised}"
    where = f" in line {read.line}" if read is not None else ""
    return f"{names}, which {how}, is read by the next one{where}: the same input gives something else"


def _written(subject: Subject, key: Key) -> Place | None:
    """The line that writes: a statement of the class's own, or for a weight the operation that overwrites it."""
    if key.kind == "attribute":
        kind = type(subject.module_at(key.path))
        write = _write(kind, key.name)
        return None if write is None else place_of(kind, write.method, write.statement)
    graph, name = subject.in_mode(False), f"{key.path}.{key.name}".lstrip(".")
    memory = {node.storage for node in graph if node.kind == key.kind and node.name == name} - {-1}
    return next((n.place for n in graph if n.overwrites is not None and n.storage in memory), None)


def _write(kind: type, name: str) -> Write | None:
    """The last statement of `forward`, and of what it calls, that writes to the attribute."""
    running = called_by(kind)
    found = [write for write in writes(kind, name) if write.method in running]
    fresh = [write for write in found if not isinstance(write.value, ast.Constant)]
    return next(reversed(fresh or found), None)


def _line(place: Place) -> tuple[str, int]:
    return place.file, place.line
