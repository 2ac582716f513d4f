"""Dead computation: layers run, and nothing the network returns depends on their result.

What it finds:
    A layer with weights whose result leads to no output, in training nor in evaluation. Not judged where the network
    decides by data, or where what it returns was not seen whole.
Why it matters:
    Time and memory are spent on nothing, the layer never learns, and most often a later line reads the wrong variable:
    a shortcut computed and never added, or a branch overwritten before it was used.
Example:
    `y = self.conv1(x); y = self.drop(x); return x + self.conv2(y)`.
Repair:
    Read the variable that holds the layer's result, or leave the layer out.
Effect of the repair:
    The layer takes part: another function; or the same function, cheaper.
References:
    He et al. 2015, Deep Residual Learning for Image Recognition, 1512.03385, section 3.2.
"""

from collections.abc import Iterator

from skipstone.checks.around import merge_around, met, owner
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.walks import results

RULE = Rule("SK207", "dead-computation", "warning", "layers run, and nothing the network returns depends on them")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    dead = _dead(graph, subject.ancestry)
    if dead:
        # What one mode alone leaves unused is no waste: a VAE's variance, GoogLeNet's auxiliary heads.
        other = subject.in_mode(not subject.training)
        used = _live_modules(other)
        dead = [i for i in dead if graph[i].module not in used]
    ends = [i for i in dead if not any(subject.ancestry.leads_to(i, other) for other in dead if other != i)]
    causes: dict[int, list[int]] = {}
    for end in ends:
        causes.setdefault(_dropped(graph, end), []).append(end)
    for dropped, together in causes.items():
        lost = [i for i in dead if any(subject.ancestry.leads_to(i, end) for end in together)]
        yield _fault(subject, graph[together[-1]], lost, graph[dropped])


def _dropped(graph: Graph, end: int) -> int:
    """The last value made of a dead layer's result, which nobody reads: one cause, whatever it starves."""
    pending, last = [end], end
    seen = {end}
    while pending:
        fresh = [i for i in graph.users[pending.pop()] if i not in seen]
        seen.update(fresh)
        pending.extend(fresh)
        last = max(last, *fresh) if fresh else last
    return last


def _dead(graph: Graph, ancestry: Ancestry) -> list[int]:
    """The layers on which no output depends; none where the record cannot tell."""
    if graph.stopped is not None or graph.assumptions or graph.failures or not graph.outputs:
        return []
    alive = _alive(graph)
    return [i for i, layer in enumerate(ancestry.layers) if layer and not alive[i] and not _serves(graph, i, alive)]


def _live_modules(graph: Graph) -> set[str]:
    """The modules with a layer that an output depends on."""
    alive = _alive(graph)
    return {node.module for node in graph if alive[node.index]} if graph.outputs else {node.module for node in graph}


def _alive(graph: Graph) -> list[bool]:
    """For each node, does an output depend on it?"""
    alive = [False] * len(graph)
    pending = list(graph.outputs)
    while pending:
        index = pending.pop()
        if not alive[index]:
            alive[index] = True
            pending.extend(graph[index].inputs)
            overwritten = graph[index].overwrites
            if overwritten is not None:
                pending.append(overwritten)
    return alive


def _serves(graph: Graph, index: int, alive: list[bool]) -> bool:
    """Is the result used after all: by another result of the same call, or through memory that others read?"""
    node = graph[index]
    if any(alive[sibling.index] for sibling in results(graph, node)):
        return True
    below = {index}
    for later in range(index + 1, len(graph)):
        if below.intersection(graph[later].inputs):
            below.add(later)
            if graph[later].overwrites is not None and graph[later].inputs[0] not in below:
                return True  # written into a tensor that was there before: a cache, a buffer, a running average
    return False


def _fault(subject: Subject, end: Node, lost: list[int], dropped: Node) -> Fault:
    graph = subject.graph
    modules = list(dict.fromkeys(graph[i].module for i in lost if graph[i].module))
    what = ", ".join(modules[:3]) + (f" and {len(modules) - 3} more" if len(modules) > 3 else "")
    verb = "run" if len(modules) > 1 else "runs"
    message = f"{what or end.op} {verb}, and nothing the network returns depends on it"
    elsewhere = dropped.place is not None and dropped.place != end.place
    notes = (f"what is made of it ends at {dropped.op} ({dropped.place}), which nothing reads",) if elsewhere else ()
    skip = merge_around(subject, end.index)
    if skip is None:
        return Fault(at(end, module=owner(graph, end)), message, (end.shape,), notes=notes)
    merge = graph[skip.merge_node]
    return Fault(at(merge, place=end.place), message, met(graph, merge), notes=notes)
