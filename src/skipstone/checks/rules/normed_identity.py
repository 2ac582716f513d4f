"""Normed identity: in a pre-norm block the identity is taken behind the norm instead of before it.

What it finds:
    A residual whose shortcut is the normalised stream, where the block is pre-norm by all other signs: it begins with
    the norm and ends without one, and nothing else reads the stream before it. Behind a batch or group norm the branch
    must have norms of its own further on, too, or a second residual of the same forward the same fault. And attention
    whose normed query is the identity, while the stream goes into its keys and values alone. Left alone: post-norm
    blocks, projections behind a shared norm and activation, norms behind the stem; a query that alone is normed, where
    the identity is the raw stream; one of a block's two residuals, the other of which is pre-norm (SK306 tells it).
Why it matters:
    The identity path is no longer free: every block normalises the stream, and the signal and its gradient must pass
    all the norms.
Example:
    `x = self.norm1(x); x = x + self.attn(x); x = self.norm2(x); return x + self.mlp(x)`.
Repair:
    Norm inside the branch alone: `x + self.attn(self.norm1(x))`.
Effect of the repair:
    No parameters; another function.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, section 4.1 (batch norm behind the
    addition); Xiong et al. 2020, On Layer Normalization in the Transformer Architecture, 2002.04745, section 3.
"""

from collections.abc import Iterator

from skipstone.checks.around import met, owner, owner_call, readers, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph
from skipstone.core.skip import Skip
from skipstone.graphs.operations import MERGES
from skipstone.graphs.roles import NORM, RECTIFIER, SLICES, TRANSPARENT

RULE = Rule("SK206", "normed-identity", "warning", "a pre-norm block takes its identity behind the norm")
_OF_TOKENS = frozenset(("layer_norm", "rms_norm"))
_ATTENTION = frozenset(("multi_head_attention_forward", "scaled_dot_product_attention", "softmax"))


def check(subject: Subject) -> Iterator[Fault]:
    for skips, call in _residuals(subject):
        for skip, norm in (*_query_alone(subject, skips, call), *behind_a_norm(subject, skips, call, mixed=False)):
            yield fault(subject, skip, norm, "the stream itself passes the norm, not the branch alone")


def mixed(subject: Subject) -> Iterator[tuple[Skip, int]]:
    """A residual behind a norm, and the norm, where another of the same forward takes its identity before its own."""
    for skips, call in _residuals(subject):
        yield from behind_a_norm(subject, skips, call, mixed=True)


def _residuals(subject: Subject) -> Iterator[tuple[list[Skip], int]]:
    """The identities added in one forward, and that forward's call."""
    graph = subject.graph
    by_call: dict[int, list[Skip]] = {}
    for skip in subject.skips:
        if skip.kind == "identity" and skip.merge == "add" and not graph[skip.merge_node].tainted:
            by_call.setdefault(owner_call(graph, graph[skip.merge_node]), []).append(skip)
    for call, skips in by_call.items():
        yield skips, call


def behind_a_norm(subject: Subject, skips: list[Skip], call: int, *, mixed: bool) -> Iterator[tuple[Skip, int]]:
    """The first of a forward's residuals that takes its identity behind a norm, and that norm."""
    graph = subject.graph
    normed = [(skip, norm) for skip in skips if (norm := _norm_of(graph, skip, call)) is not None]
    # Post-norm blocks (Vaswani et al. 2017) take their identity behind the norm of the sum before, on purpose.
    if not normed or _ends_normed(graph, skips[-1], call):
        return
    starts = [(skip, norm) for skip, norm in normed if _is_stream(subject, norm, call)]
    for skip, norm in starts:
        sure = len(starts) > 1 or _pre_activated(subject, skip)
        half = not sure and _mixed(graph, skips, skip)
        alone = graph[norm].op in _OF_TOKENS and skip.merge_node in _results(graph, call)
        if half if mixed else sure or (alone and not half):
            yield skip, norm
            return


def _query_alone(subject: Subject, skips: list[Skip], call: int) -> Iterator[tuple[Skip, int]]:
    """The normed query is the identity, and the stream itself goes into the attention's keys and values alone."""
    graph, leads_to = subject.graph, subject.ancestry.leads_to
    for skip in skips:
        norm = _norm_of(graph, skip, call)
        if norm is None or graph[norm].op not in _OF_TOKENS:
            continue
        stream = same_values(graph, graph[norm].inputs[0])
        others = [user for user in readers(graph, stream, frozenset()) if user.index != norm]
        attends = any(graph[i].op in _ATTENTION for i in skip.main)
        first = [user.index - user.output for user in others]  # of the results of one call
        within = all(leads_to(i, skip.main_operand) and i < skip.merge_node for i in first)
        if others and attends and within and stream not in graph.outputs:
            yield skip, norm


def _norm_of(graph: Graph, skip: Skip, call: int) -> int | None:
    """The norm of the same forward whose result, perhaps rectified, is the shortcut."""
    index = same_values(graph, skip.short_operand)
    if graph[index].op in RECTIFIER:
        index = same_values(graph, graph[index].inputs[0])
    node = graph[index]
    if any(user.op in SLICES for user in readers(graph, skip.short_operand)):
        return None  # a part of the tokens goes its own way: class attention (CaiT, 2103.17239)
    return index if node.op in NORM and owner_call(graph, node) == call and not graph[skip.merge_node].tainted else None


def _is_stream(subject: Subject, norm: int, call: int) -> bool:
    """Is the norm's input the forward's own input or an earlier residual sum, read by the norm alone?"""
    graph = subject.graph
    source = same_values(graph, graph[norm].inputs[0])
    # Read by others as well: pre-activation blocks that project behind the shared norm (1603.05027, figure 4e).
    if any(reader.index != norm for reader in readers(graph, source, frozenset())) or source in graph.outputs:
        return False
    is_sum = MERGES.get(graph[source].op) == "add"
    if is_sum and owner_call(graph, graph[source]) == call:
        return True
    # A layer's output given to the block is a stem with its norm behind it (ViT's and Swin's patch embedding).
    given = call >= 0 and source in graph.calls[call].inputs
    return given and (is_sum or graph[source].kind == "input")


def _ends_normed(graph: Graph, last: Skip, call: int) -> bool:
    """Is the last sum of the forward normalised in the same forward, as post-norm blocks do?"""
    return any(reader.op in NORM and owner_call(graph, reader) == call for reader in readers(graph, last.merge_node))


def _pre_activated(subject: Subject, skip: Skip) -> bool:
    """Does the branch go on norm before layer: a norm behind its first layer, none behind its last?"""
    graph, layers = subject.graph, subject.ancestry.layers
    order = ["layer" if layers[i] else "norm" for i in skip.main if layers[i] or graph[i].op in NORM]
    return order[-1:] == ["layer"] and order[:1] == ["layer"] and "norm" in order


def _results(graph: Graph, call: int) -> set[int]:
    """What a forward returns, views taken away."""
    outputs = graph.calls[call].outputs if call >= 0 else graph.outputs
    return {same_values(graph, i) for i in outputs}


def _mixed(graph: Graph, skips: list[Skip], normed: Skip) -> bool:
    """Does another residual of the same forward take its identity from the stream before its own norm?"""
    for skip in skips:
        if skip is normed:
            continue
        body = [i for i in skip.main if graph[i].op not in TRANSPARENT]
        if body and graph[body[0]].op in NORM and graph[same_values(graph, skip.short_operand)].op not in NORM:
            return True
    return False


def fault(subject: Subject, skip: Skip, norm: int, words: str) -> Fault:
    graph = subject.graph
    merge = graph[skip.merge_node]
    kind = type(subject.module_at(owner(graph, merge))).__qualname__  # the same slip in every block of a class
    message = f"the identity is taken behind {graph[norm].module or graph[norm].op}: {words}"
    return Fault(at(merge), message, met(graph, merge), cause=kind)
