"""Not finite: a standard-normal input gives NaN or infinite numbers.

What it finds:
    A root or logarithm of what may be negative, a quotient by what may be zero, a softmax over nothing but minus
    infinity, an overflow of half precision, a weight that holds NaN: where finite numbers first give others. Numbers
    that are infinite on purpose (a mask filled with minus infinity) are left alone, and so is what is done to the
    input itself, before any layer: what values it takes is not known.
Why it matters:
    The loss is NaN in the first step.
Example:
    `attention = torch.sqrt(self.score(x))`.
Repair:
    None is proposed: the operation is named.
Effect of the repair:
    None.
References:
    PyTorch documentation, torch.autograd.detect_anomaly.
"""

from collections.abc import Iterator

from skipstone.checks.around import met, recorded
from skipstone.checks.rule import Fault, Rule, Where, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node
from skipstone.execution import Step, Stream
from skipstone.graphs.operations import words

RULE = Rule("SK408", "not-finite", "warning", "a standard-normal input gives NaN or infinite numbers")

# Infinite on purpose: masks, and the distances and bounds that a search begins with.
_ON_PURPOSE = words(
    """masked_fill where full full_like new_full fill fill_diagonal triu tril setitem log zeros tensor as_tensor
    new_tensor scatter index_fill masked_scatter"""
)


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not witness.plan.as_asked or not witness.own.ran:
        return
    outputs = [output for output in witness.own.outputs if output.is_floating_point()]
    nan = any(bool(output.isnan().any()) for output in outputs)
    if not nan and not any(bool((output == float("inf")).any()) for output in outputs):
        return  # minus infinity alone is what masks are made of
    broken = [name for name, p in subject.model.named_parameters() if not p.isfinite().all()]
    if broken:
        module = broken[0].rpartition(".")[0]
        yield Fault(Where(len(subject.graph) - 1, module, None), f"{broken[0]} holds numbers that are not finite")
        return
    stream = Stream()
    witness.run(see=stream.see)
    step = next((s for s in stream.steps if s.makes == "nan" or (not nan and _overflows(s))), None)
    node = recorded(subject.graph, step.op, step.module, step.time, step.place) if step is not None else None
    if step is not None and node is not None and _behind_a_layer(subject, node):
        what = "NaN" if step.makes == "nan" else "infinite numbers"
        yield Fault(at(node), f"{step.op} makes {what} of a standard-normal input", met(subject.graph, node))


def _overflows(step: Step) -> bool:
    return step.makes == "inf" and step.op not in _ON_PURPOSE


def _behind_a_layer(subject: Subject, node: Node) -> bool:
    """Does a layer stand between the input and what the operation reads?"""
    ancestry = subject.ancestry
    bits = 0
    for i in node.inputs:
        bits |= ancestry.ancestors[i]
    return any(layer and bits >> index & 1 for index, layer in enumerate(ancestry.layers[: node.index]))
