"""Random in evaluation: two evaluation passes on one input differ.

What it finds:
    A functional dropout without `training=self.training`, attention with a `dropout_p` that evaluation does not turn
    off, a mask or a choice of path that is drawn in evaluation too. The run shows it: two passes with other random
    numbers differ, and the first operation that does is named. Noise that a network samples on purpose (a variational
    autoencoder, a masked autoencoder) is left alone, and so is a dropout called with `training=True` in so many words.
Why it matters:
    The trained network answers differently each time, and worse than it could.
Example:
    `F.dropout(x, 0.5)`: its `training` is True unless told otherwise.
Repair:
    None is proposed: `training=self.training`, or an `nn.Dropout` made in `__init__`.
Effect of the repair:
    Training stays as it is; evaluation gives one answer.
References:
    PyTorch documentation, torch.nn.functional.dropout, "training".
"""

import ast
import linecache
from collections.abc import Iterator
from itertools import zip_longest

from skipstone.checks.around import owner, recorded
from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, Place
from skipstone.execution import Step, Stream, Witness, alike
from skipstone.graphs.operations import words

RULE = Rule("SK403", "random-in-evaluation", "warning", "two evaluation passes on one input differ")

_DROPOUT = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout")
_ATTENTION = words("scaled_dot_product_attention")
_DRAWN = words("bernoulli rand rand_like uniform")
# Between a random number and the mask made of it.
_COMPARED = words(
    "lt gt le ge floor round bernoulli to float bool type_as add div sub view unsqueeze expand logical_not"
)
_MASKS = words("mul div masked_fill where")
_AGAIN = 1  # the seed of the second pass


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not witness.evaluation.ran:
        return
    again = witness.run(seed=_AGAIN, training=False)
    if not again.ran or witness.evaluation.equals(again):
        return
    step = _first_difference(witness)
    if step is not None:
        yield from _fault(subject, step)


def _first_difference(witness: Witness) -> Step | None:
    """The first operation that gives something else under other random numbers; the last before the ways part."""
    one, two = Stream(), Stream()
    witness.run(training=False, see=one.see)
    witness.run(seed=_AGAIN, training=False, see=two.see)
    for a, b in zip_longest(one.steps, two.steps):
        if a is None or b is None or (a.op, a.module, a.place) != (b.op, b.module, b.place):
            return a or b
        if len(a.results) != len(b.results) or not all(map(alike, a.results, b.results)):
            return a
    return None


def _fault(subject: Subject, step: Step) -> Iterator[Fault]:
    graph = subject.in_mode(False)
    node = recorded(graph, step.op, step.module, step.time, step.place)
    reason = _reason(subject, graph, step, node)
    if reason is not None:
        module = owner(graph, node) if node is not None else step.module
        yield Fault(Where(_index(subject.graph, step), module, step.place), f"two evaluation passes differ: {reason}")


def _index(graph: Graph, step: Step) -> int:
    node = recorded(graph, step.op, step.module, step.time, step.place)
    return node.index if node is not None else len(graph) - 1


def _reason(subject: Subject, graph: Graph, step: Step, node: Node | None) -> str | None:
    """What is wrong with the first difference; None where it may well be meant."""
    if step.op in _DROPOUT:
        registered = step.module and not list(subject.module_at(step.module).children())
        if (registered and step.module != "") or _says_training(step.place):
            return None  # the module was left in training, or it is Monte Carlo dropout, spelled out
        return f"{step.op} drops in evaluation too; give it training=self.training"
    if step.op in _ATTENTION:
        return "dropout_p of the attention is not 0 in evaluation; give it self.p if self.training else 0.0"
    if step.op in _DRAWN:
        masks = node is not None and _becomes_a_mask(graph, node)
        return f"a mask drawn by {step.op} is laid on in evaluation too" if masks else None
    return None


def _says_training(place: Place | None) -> bool:
    """Does the call's own text tell dropout whether it trains?"""
    if place is None:
        return True
    lines = [linecache.getline(place.file, number) for number in range(place.line, place.end_line + 1)]
    if len(lines) == 1:
        text = lines[0].encode()[place.column : place.end_column].decode()
    else:
        text = "".join([lines[0][place.column :], *lines[1:-1], lines[-1][: place.end_column]])
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return True
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call)]
    return any(len(call.args) > 2 or any(k.arg in ("training", None) for k in call.keywords) for call in calls)


def _becomes_a_mask(graph: Graph, node: Node) -> bool:
    pending, seen = [node.index], {node.index}
    compared = node.op == "bernoulli"
    while pending:
        for user in graph.users[pending.pop()]:
            op = graph[user].op
            if op in _MASKS and compared:
                return True
            if op in _COMPARED and user not in seen:
                compared = compared or op in ("lt", "gt", "le", "ge", "floor", "round", "bernoulli")
                seen.add(user)
                pending.append(user)
    return False
