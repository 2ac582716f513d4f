"""Was done what was meant? The record of an edited network held against the record of the one before.

Two records compute the same where their outputs have the same fingerprint: the operations that lead there, each with
its module and its operands, down to inputs and parameters by name. Sizes are left out, since a narrowed layer keeps its
place; so are copies and expansions, which an edit may add.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from skipstone.core.edit import Connect
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import names
from skipstone.graphs.roles import JOINS
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.handlers import REST

Gone = Mapping[int, tuple[int, ...]]  # for each merge the operands that go, by position
_SAME_VALUES = frozenset(("clone", "expand", "expand_as", "alias"))
_PARTS = names("slice")


def fingerprints(
    graph: Graph,
    *,
    gone: Gone | None = None,
    zeroed: bool = False,
    same: Mapping[int, int] | None = None,
    wholes_are_parts: bool = False,
) -> list[bytes]:
    """For each node a digest of what it computes, as it is or as it would be after an edit.

    Args:
        gone: operands taken out of merges; with `zeroed`, zeros stand in for those of a concatenation.
        same: nodes that are to count as another, earlier one.
        wholes_are_parts: `y[:, :4]` of four channels is digested as of any number, not as `y` itself: of which it is
            after an edit, the record before does not tell.
    """
    found: list[bytes] = []
    wholes: dict[bytes, set[bytes]] = {}  # of each part of a tensor, the tensors it is a part of
    for node in graph:
        if same and node.index in same:
            found.append(found[same[node.index]])
        elif gone and node.index in gone:
            found.append(_without(node, found, gone[node.index], zeroed))
        elif (value := _value(graph, node, found, wholes, wholes_are_parts)) is not None:
            found.append(found[value])
        else:
            found.append(_as_it_is(node, found))
        if node.op in _PARTS and node.inputs:
            wholes.setdefault(found[-1], set()).add(found[node.inputs[0]])
    return found


def outputs(graph: Graph, digests: Sequence[bytes] | None = None) -> tuple[bytes, ...]:
    """The fingerprints of what the network returns."""
    digests = fingerprints(graph) if digests is None else digests
    return tuple(digests[index] for index in graph.outputs)


def _as_it_is(node: Node, found: list[bytes]) -> bytes:
    if node.op in _SAME_VALUES and node.inputs:
        return found[node.inputs[0]]
    if node.op == "zeros_like":
        return _digest("zeros")
    if node.kind != "op":
        return _digest(node.kind, node.name)
    return _digest(node.op, node.module, node.output, *(found[i] for i in node.inputs))


def _value(
    graph: Graph, node: Node, found: Sequence[bytes], wholes: Mapping[bytes, set[bytes]], wholes_are_parts: bool
) -> int | None:
    """The node whose value this one has, where it is a view of a whole, or a writing that changes nothing or all."""
    if node.op in _PARTS and len(node.inputs) == 1 and node.shape == graph[node.inputs[0]].shape:
        if wholes_are_parts:
            return None
        return node.inputs[0]  # `y[:, :4]` of four channels
    if node.op != "setitem":
        return None
    target, written = node.inputs[0], node.inputs[-1]
    if node.shape == graph[written].shape:
        return written
    # A part written to where it was, as by `y[:, :2] = y[:, :2] + x` without the sum.
    return target if found[target] in wholes.get(found[written], ()) else None


def _without(node: Node, found: list[bytes], positions: tuple[int, ...], zeroed: bool) -> bytes:
    operands = [found[i] for i in node.inputs]
    if node.op in JOINS:
        zeros = _digest("zeros")
        padded = [zeros if n in positions else operand for n, operand in enumerate(operands)]
        left = padded if zeroed else [operand for n, operand in enumerate(operands) if n not in positions]
        return _digest(node.op, node.module, node.output, *left)
    rest = REST.get(node.op, ("other", "input"))[positions[0] > 0]
    scale = node.argument("alpha", 1)
    # `rsub` is other - alpha * input: the sign and the factor are its first operand's.
    kept = rest if node.op != "rsub" else {"other": "other", "minus": "input"}[rest]
    term = operands[0 if kept == "input" else 1]
    scaled = rest == "minus" or (rest == "other" and node.op != "rsub")
    if scaled and scale != 1:
        term = _digest("mul", node.module, 0, term)
    return _digest("neg", node.module, 0, term) if rest == "minus" else term


def _digest(*parts: object) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=12).digest()


# ---- after an ablation


def check_ablated(
    before: Graph, after: Graph, gone: Gone, *, zeroed: bool = False, same: Mapping[int, int] | None = None
) -> None:
    """Raise `SurgeryError` unless `after` is `before` without the operands `gone`; `same` as for `fingerprints`."""
    _check_runs(before, after, "without these skips", 'cat="zero" and parameters="keep" leave every shape as it is')
    _check_gone(before, after, gone)
    if before.stopped is not None or before.failures:
        return  # a network that does not run is not recorded the same way twice for certain
    for wholes_are_parts in (False, True):
        meant = fingerprints(before, gone=gone, zeroed=zeroed, same=same, wholes_are_parts=wholes_are_parts)
        made = fingerprints(after, wholes_are_parts=wholes_are_parts)
        if outputs(before, meant) == outputs(after, made):
            return
    raise SurgeryError(_difference(after, made, set(meant)))


def _check_runs(before: Graph, after: Graph, what: str, advice: str) -> None:
    if after.stopped is not None and before.stopped is None:
        raise SurgeryError(f"{what} the network does not run: {after.stopped}")
    if len(after.failures) > len(before.failures):
        node = after.failures[0]
        assert node.failure is not None
        raise SurgeryError(
            f"{what} the network does not run: {node.failure.message} in {node.module or 'forward'} ({node.place})"
            + (f"; {advice}" if advice else "")
        )


def _check_gone(before: Graph, after: Graph, gone: Gone) -> None:
    """Is there a merge in the new record where one was to go? Its operands are counted at its place."""
    lost: dict[tuple[object, ...], int] = {}
    for index in gone:
        node = before[index]
        if node.op not in JOINS:
            lost[_spot(node)] = lost.get(_spot(node), 0) + len(node.inputs)
    for spot, number in lost.items():
        here, there = (sum(len(n.inputs) for n in g if _spot(n) == spot) for g in (before, after))
        if there > here - number:
            _, module, place = spot
            raise SurgeryError(
                f"the skip into {module or 'forward'} ({place}) is still there after the edit: its operation runs in "
                "code that could not be reached; nothing is returned"
            )


def _spot(node: Node) -> tuple[object, ...]:
    return node.op, node.module, node.site


def _difference(after: Graph, made: Sequence[bytes], meant: set[bytes]) -> str:
    """Which operation first computes what was not meant."""
    for node in after:
        if node.kind == "op" and made[node.index] not in meant and all(made[i] in meant for i in node.inputs):
            return (
                f"the edit did not do what was meant: {node.op} in {node.module or 'forward'} ({node.place}) reads "
                "another operand, or runs where it did not; nothing is returned"
            )
    return "the edit did not do what was meant: the output is another tensor; nothing is returned"


# ---- after a connection


def check_connected(before: Graph, after: Graph, joins: Mapping[str, tuple[Connect, int]]) -> None:
    """Raise `SurgeryError` unless `after` is `before` with the skips added, and its output depends on each of them.

    `joins` maps the path of each new `Join` to its edit and the node of `before` where it starts.
    """
    _check_runs(before, after, "with this skip", "")
    if before.stopped is not None or before.failures:
        return
    calls = {path: [call for call in after.calls if call.path == path] for path in joins}
    for path, (edit, _) in joins.items():
        if len(calls[path]) != 1 or len(calls[path][0].inputs) < 2:
            raise SurgeryError(
                f"the skip from {edit.source or 'the input'} to {edit.target} ran {len(calls[path])} times in the "
                "record of the edited network, not once; nothing is returned"
            )
    same = {call.outputs[0]: call.inputs[0] for path in joins for call in calls[path]}
    stripped, was = fingerprints(after, same=same), fingerprints(before)
    if outputs(after, stripped) != outputs(before, was):
        raise SurgeryError(_difference(after, stripped, set(was)))
    for path, (edit, start) in joins.items():
        call = calls[path][0]
        if stripped[call.inputs[1]] != was[start]:
            raise SurgeryError(f"the skip into {edit.target} does not start at {edit.source or 'the input'}")
        if call.outputs[0] not in _reached(after):
            raise SurgeryError(
                f"the skip into {edit.target} would change nothing: no output of the network depends on {edit.target}"
            )


def _reached(graph: Graph) -> set[int]:
    """The nodes that an output depends on."""
    reached: set[int] = set()
    pending = list(graph.outputs)
    while pending:
        index = pending.pop()
        if index not in reached:
            reached.add(index)
            pending += graph[index].inputs
            pending += [i for i in (graph[index].overwrites,) if i is not None]
    return reached
