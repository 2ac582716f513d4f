"""Random in evaluation: two evaluation passes on one input differ.

What it finds:
    A functional dropout without `training=self.training`, attention with a `dropout_p` that evaluation does not turn
    off, a mask or a choice of path that is drawn in evaluation too, normal noise of a fixed size that `forward` adds
    whatever the mode. The run shows it: two passes with other random numbers differ, and the first operation that does
    is named. What a network samples on purpose is left alone: noise of a size that it learns, computes or looks up
    (variational autoencoders, diffusion, StyleGAN), that a switch guards, that the class's name or docstring tells of
    (denoising, Langevin, a discriminator's), a masked autoencoder's mask, and a dropout called with `training=True`
    in so many words.
Why it matters:
    The trained network answers differently each time, and worse than it could.
Example:
    `F.dropout(x, 0.5)`: its `training` is True unless told otherwise.
Repair:
    None is proposed: `training=self.training`, an `nn.Dropout` made in `__init__`, `if self.training:` around noise.
Effect of the repair:
    Training stays as it is; evaluation gives one answer.
References:
    PyTorch documentation, torch.nn.functional.dropout, "training".
"""

import ast
import linecache
import re
from collections.abc import Iterator
from math import prod

from skipstone.checks.around import owner, recorded
from skipstone.checks.meant import is_switched, text_about
from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, Place
from skipstone.execution import Step, Stream, Witness, parting
from skipstone.graphs.ancestry import Ancestry
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
_NORMAL = words("randn randn_like normal")
_SCALED = words("mul div")
_SAME = words("to float half double type_as view reshape unsqueeze expand expand_as detach clone contiguous")
# Networks whose noise is what they are about; a discriminator's keeps a generator from winning (1610.04490).
_ABOUT_NOISE = re.compile(
    r"denois|diffus|vae|variation|bayes|langevin|sampl|gumbel|stochastic|monte|energy|score|corrupt|augment|dequant"
    r"|generat|discriminat|critic|autoenc|auto_enc|explor|dae\b|ebm\b|ddpm|flow",
    re.IGNORECASE,
)
_SEEDS = range(1, 7)  # of further passes: a path dropped one time in five may be taken in each of two


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not witness.evaluation.ran:
        return
    seed = _telling_seed(witness)
    step = _first_difference(witness, seed) if seed is not None else None
    if step is not None:
        yield from _fault(subject, step)


def _telling_seed(witness: Witness) -> int | None:
    """A seed under which a fresh copy gives something else; of what a call leaves behind the copy knows nothing."""
    own = witness.evaluation
    if not own.ops & _DRAWN and witness.again.ran and own.equals(witness.again):
        return None
    for seed in _SEEDS if own.ops & _DRAWN else _SEEDS[:1]:
        again = witness.run(seed=seed, training=False)
        if not again.ran:
            return None
        if not own.equals(again):
            return seed
    return None


def _first_difference(witness: Witness, seed: int) -> Step | None:
    """The first operation that gives something else under other random numbers; the last before the ways part."""
    one, two = Stream(), Stream()
    witness.run(training=False, see=one.see)
    witness.run(seed=seed, training=False, see=two.see)
    own, other = parting(one, two)
    return own or other


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
    if step.op in _NORMAL and node is not None and _is_plain_noise(subject, graph, node):
        return f"noise drawn by {step.op} is added in evaluation too; add it only if self.training"
    return None


def _is_plain_noise(subject: Subject, graph: Graph, node: Node) -> bool:
    """Is it noise of a fixed size that a forward adds, and that nothing in the source says is meant?"""
    place, module = node.place, subject.module_at(owner(graph, node))
    if place is None or place.function.rpartition(".")[2] != "forward" or is_switched(module, place.line):
        return False
    if any(_ABOUT_NOISE.search(text_about(type(known))) for known in (module, subject.model)):
        return False
    once = sum(other.op == node.op and other.place == place and other.call == node.call for other in graph) == 1
    return once and _is_added(graph, node, Ancestry(graph))


def _is_added(graph: Graph, node: Node, ancestry: Ancestry) -> bool:
    """Does a tensor meet what is made of the input in a sum, and nothing else, multiplied by fixed numbers at most?

    A size that is a share of the very tensor it is added to is fixed too.
    """
    if any(ancestry.active[i] for i in node.inputs if node.overwrites is None and node.op == "normal"):
        return False
    shares: list[int] = []
    current = node
    while len(graph.users[current.index]) == 1 and current.index not in graph.outputs:
        user = graph[graph.users[current.index][0]]
        others = [i for i in user.inputs if i != current.index]
        if user.op in ("add", "sub"):
            met = {_source(graph, i) for i in (*others, *shares)}
            return len(others) == len(met) == 1 and ancestry.active[others[0]]
        if user.op in _SCALED:
            shares += [i for i in others if ancestry.active[i]]
            if any(not ancestry.active[i] and not _is_number(graph[i]) for i in others):
                return False
        elif user.op not in _SAME or user.inputs[0] != current.index:
            return False
        current = user
    return False


def _is_number(node: Node) -> bool:
    return node.kind == "constant" and not node.requires_grad and prod(node.shape) == 1


def _source(graph: Graph, index: int) -> int:
    """What a tensor is a fixed multiple of."""
    while graph[index].op in _SCALED | _SAME | {"abs"} and len(graph[index].inputs) == 1:
        index = graph[index].inputs[0]
    return index


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
