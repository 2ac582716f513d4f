"""Which operations merge tensors, which operands meet there, and which of them cancel out."""

from collections import Counter
from collections.abc import Iterator

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.axes import einsum_letters, landing
from skipstone.graphs.operations import MERGES, has_role, names
from skipstone.graphs.roles import is_transparent
from skipstone.graphs.walks import back, readers

_REDUCED: dict[str, Merge] = {"sum": "add", "cumsum": "add", "mean": "mean", "max": "max", "amax": "max"}
_SUMS = names("sum")
_MATRICES = ("matmul", "bmm", "mm")


def merge_of(graph: Graph, node: Node) -> Merge | None:
    """How a node merges its operands, None where it does not; a `stack` that is summed is an addition."""
    if node.kind != "op":
        return None
    merge = MERGES.get(node.op)
    if merge == "cat":
        reduced = {way for joined, axis in _own_axes(graph, node) for way in _reductions(graph, joined, axis)}
        if len(reduced) == 1 and (only := reduced.pop()) is not None:
            return only
    return merge


def _own_axes(graph: Graph, node: Node) -> Iterator[tuple[Node, int]]:
    """The axis along which a join counts its operands, one position each: its own, or one that each view splits off."""
    dim = node.argument("dim", node.argument("axis", 0))
    if not isinstance(dim, int) or node.op not in ("stack", "cat"):
        return
    if node.op == "cat" and any(len(graph[i].shape) != len(node.shape) for i in node.inputs):
        return  # an empty list of places, as a cache starts with, joins a tensor of any rank
    axis, count = dim % len(node.shape), len(node.inputs)
    widths = {graph[i].shape[axis] for i in node.inputs} if node.op == "cat" else {1}
    if widths == {1}:
        yield node, axis
    elif len(widths) == 1:
        split = (*node.shape[:axis], count, widths.pop(), *node.shape[axis + 1 :])
        users = [graph[i] for i in graph.users[node.index]]
        if all(has_role(user, "regroups") and user.shape == split for user in users):
            yield from ((user, axis) for user in users)


def _reductions(graph: Graph, node: Node, axis: int) -> Iterator[Merge | None]:
    """How each reader takes an axis together, behind views and a scaling of its positions; None where it does not."""
    if not graph.users[node.index]:
        yield None
    for user in (graph[i] for i in graph.users[node.index]):
        if has_role(user, "scale") and len(user.shape) == len(node.shape):
            yield from _reductions(graph, user, axis)
        elif is_transparent(user):
            place = landing(graph, user, node.index, axis)
            yield from [None] if place is None or not place[1] else _reductions(graph, user, place[0])
        elif has_role(user, "product"):
            yield "add" if _contracts(graph, user, node.index, axis) else None
        else:
            dim = user.argument("dim", user.argument("axis"))
            dims = dim if isinstance(dim, tuple | list) else (dim,)
            along = dim is None or axis in [d % len(node.shape) for d in dims if isinstance(d, int)]
            yield _REDUCED.get(user.op) if along else None


def _contracts(graph: Graph, node: Node, operand: int, axis: int) -> bool:
    """Does a product sum over the axis of an operand?"""
    place = node.inputs.index(operand)
    if node.op == "einsum":
        terms, result = einsum_letters(node)
        letters = terms[place] if len(terms) == len(node.inputs) else ""
        return axis < len(letters) and letters[axis] not in result
    rank = len(graph[operand].shape)
    return node.op in _MATRICES and len(node.inputs) == 2 and axis == (rank - 1 if place == 0 else max(rank - 2, 0))


def merged_operands(graph: Graph, ancestry: Ancestry, node: Node, merge: Merge) -> list[int]:
    """The active operands, and a learned token that the other one was computed from (a class token's own stream)."""
    operands = list(dict.fromkeys(node.inputs))
    active = [i for i in operands if ancestry.active[i]]
    values = [i for i in active if graph[i].spec.dtype != "bool" and "int" not in graph[i].spec.dtype]
    active = values or active  # an index or a mask is no term
    if merge != "add" or len(active) != 1:
        return active
    return active + [i for i in operands if i != active[0] and _is_token_stream(graph, ancestry, i, active[0])]


def _is_token_stream(graph: Graph, ancestry: Ancestry, operand: int, other: int) -> bool:
    """Is it a learned start of a stream (a class token, DETR's queries behind their first self-attention)?"""
    if ancestry.active[operand] or not ancestry.leads_to(operand, other):
        return False
    origin = graph[ancestry.strip(operand)]
    learned = origin.kind == "parameter" or (origin.kind == "op" and _is_learned(graph, ancestry, origin.index))
    # A position table is added again and again; a stream's start is added once.
    additions = [i for i in graph.users[operand] if MERGES.get(graph[i].op) == "add"]
    return learned and len(additions) == 1


def _is_learned(graph: Graph, ancestry: Ancestry, index: int) -> bool:
    """Was it made of parameters alone, by operations that keep its positions apart or mix them?"""
    bits = ancestry.ancestors[index]
    leaves = [node for node in graph.nodes[: index + 1] if bits >> node.index & 1 and node.kind != "op"]
    return any(node.kind == "parameter" for node in leaves)


def cancels(graph: Graph, node: Node) -> bool:
    """Does a term of a sum come with both signs: `x + (q - x).detach()`, the straight-through estimator (1308.3432)?

    The sum's value is the other term; also said of the inner sum of `q + x - x.detach()`.
    """
    if _has_opposites(graph, node):
        return True
    found = list(readers(graph, node.index, _HANDS_ON))
    return len(found) == 1 and _has_opposites(graph, found[0])


def _has_opposites(graph: Graph, node: Node) -> bool:
    if node.op not in _SUMS or len(node.inputs) != 2 or "alpha" in node.arguments:
        return False
    terms: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for index, sign in _terms(graph, node):
        inner = graph[index]
        parts = list(_terms(graph, inner)) if inner.op in _SUMS and len(inner.inputs) == 2 else [(index, 1)]
        for part, own in parts:
            terms[part] += sign * own
            seen[part] += 1
    return any(terms[part] == 0 and count > 1 for part, count in seen.items())


def _terms(graph: Graph, node: Node) -> list[tuple[int, int]]:
    """The two terms of a sum with their signs, each by the tensor whose very values it has."""
    first, second = (back(graph, i, _hands_on) for i in node.inputs)
    if node.op == "rsub":
        return [(first, -1), (second, 1)]
    return [(first, 1), (second, -1 if node.op == "sub" else 1)]


_HANDS_ON: frozenset[str] = names("same") | {"detach"}


def _hands_on(node: Node) -> bool:
    return node.op in _HANDS_ON
