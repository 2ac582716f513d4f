"""Samples meet: in evaluation, what one sample gives depends on the other samples of its batch.

What it finds:
    A softmax, norm or roll along the batch, a modulation that meets the batch by broadcasting, a view that turns one
    image into several rows or mixes two, a reshape that stands where a transpose was meant. Where a layer proves that
    the first axis counts samples: sums, means and maxima along it or over everything, a Fourier transform that takes it
    along, and products of all pairs of samples. The run shows it: the other samples are drawn anew and the first
    sample's output changes. Rows that meet on purpose are left alone: networks whose inputs differ along the first axis
    (graphs), outputs for all pairs (contrastive heads), statistics of the batch (its variance, a mean that is taken
    away), groups of samples (frames of a video), outputs of which one keeps its sample to itself.
Why it matters:
    Everything fits and trains; a prediction then depends on what else was asked at the same time, and a batch of one
    gives another result.
Example:
    `scores.softmax(dim=0)` on (batch, classes).
Repair:
    None is proposed: the line that mixes is named.
Effect of the repair:
    None.
References:
    PyTorch documentation, torch.nn.functional.softmax, "dim".
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import torch

from skipstone.checks.around import met, owner, readers, recorded
from skipstone.checks.rule import Fault, Rule, Where, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.execution import Pass, Step, Stream, Witness, keeps_apart, sketch
from skipstone.execution.inputs import Arguments
from skipstone.graphs.operations import has_role, words
from skipstone.graphs.sample_axis import attention_samples, axis_of, sample_axes
from skipstone.tracing.nests import map_tensors, tensors_in

RULE = Rule("SK402", "samples-meet", "warning", "what one sample gives depends on the others of its batch")

# Where samples meet by mistake.
_BY_MISTAKE = words(
    """softmax log_softmax softmin view reshape flatten unflatten roll flip layer_norm rms_norm normalize norm
    vector_norm add sub mul div"""
)
# By mistake where the first axis is proven to count samples: unbatched sets and graphs reduce over it as well
# (DeepSets, 1703.06114; set transformers, 1810.00825). Variances and batch norms are statistics of the batch on purpose
# (the standard deviation of StyleGAN's discriminator, 1710.10196), and so are covariances, which sum the batch (Barlow
# Twins, 2103.03230; decorrelated batch norm, 1804.08450).
_REDUCED = words("sum mean max min amax amin logsumexp cumsum")
_ROUNDED = words("round floor fake_quantize_per_tensor_affine fake_quantize_per_channel_affine quantize_per_tensor")
_OTHERS = 7  # the seed of the other samples


def check(subject: Subject) -> Iterator[Fault]:
    witness = subject.witness
    if witness is None or not witness.evaluation.ran:
        return
    fault = _split(subject, witness)
    if fault is None:
        samples = _samples(subject, witness.plan.graph)
        if samples > 1 and _all_meet(subject, witness, samples):
            fault = _where(subject, witness, samples)
    if fault is not None:
        yield fault


def _samples(subject: Subject, graph: Graph) -> int:
    """How many samples the inputs hold; 0 where their first axis does not surely count samples."""
    shapes = [graph[i].shape for i in graph.inputs]
    if not shapes or any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        return 0  # a graph's edges beside its nodes
    if any(len(shape) == 2 and shape[0] == shape[1] for shape in shapes) and len(shapes) > 1:
        return 0  # an adjacency matrix: GCNII
    second = {(index, 1) for index in subject.graph.inputs}
    if second & (sample_axes(subject) | attention_samples(subject)):
        return 0  # time comes first
    return shapes[0][0]


# ---- does it happen?


def _all_meet(subject: Subject, witness: Witness, samples: int) -> bool:
    """Does every output change for the first sample when the others do?"""
    own, other = witness.evaluation, witness.run(_other_samples(witness, samples), training=False)
    if not other.ran or len(own.outputs) != len(other.outputs):
        return False
    judged = [k for k, output in enumerate(own.outputs) if output.is_floating_point()]
    changed = bool(judged) and all(
        not keeps_apart(sketch(own.outputs[k]), sketch(other.outputs[k]), samples)
        and _counts_samples(subject, own, k, samples)
        for k in judged
    )
    return changed and own.equals(witness.run(training=False))  # or chance changed it, not the other samples


def _other_samples(witness: Witness, samples: int) -> Arguments:
    """The same first sample beside others."""
    own, other = witness.arguments(), witness.arguments(_OTHERS, given=False)
    drawn = iter(tensors_in(other))

    def change(tensor: torch.Tensor) -> torch.Tensor:
        rest = next(drawn)
        if tensor.dim() and tensor.shape[0] == samples:
            return torch.cat([tensor[:1], rest[1:]]).detach()
        return tensor

    made: Any = map_tensors(own, change)
    args, kwargs = made
    return args, kwargs


def _counts_samples(subject: Subject, done: Pass, number: int, samples: int) -> bool:
    """Does an output grow with the batch, along one axis? A loss and a pooled set do not, similarities along two."""
    outputs = subject.graph.outputs
    if number >= len(outputs):
        return False
    shape = subject.graph[outputs[number]].shape
    larger = _larger_batch(subject)
    if larger is None or len(larger.outputs) != len(outputs):
        return bool(shape) and done.outputs[number].shape[0] % samples == 0
    return len(_grown(shape, larger[larger.outputs[number]].shape)) == 1


def _larger_batch(subject: Subject) -> Graph | None:
    """The record for a larger batch, by one sample or twice as large; None where the network takes neither."""
    batch = subject.graph[subject.graph.inputs[0]].shape[0]
    for size in (batch + 1, 2 * batch):
        larger = subject.with_batch(size)
        if larger.stopped is None and not larger.failures and len(larger) == len(subject.graph):
            return larger
    return None


def _grown(shape: tuple[int, ...], larger: tuple[int, ...]) -> list[int]:
    return [axis for axis, (a, b) in enumerate(zip(shape, larger, strict=False)) if a != b]


# ---- where?


def _where(subject: Subject, witness: Witness, samples: int) -> Fault | None:
    first = _first_meeting(witness, samples)
    if first is None:
        return None
    graph = subject.graph
    node = recorded(graph, first.op, first.module, first.time, first.place)
    reshape = _losing_the_batch(subject)
    if reshape is not None and (node is None or reshape.index <= node.index):
        source = graph[reshape.inputs[0]]
        shapes = f"{shape_text(source.shape)} to {shape_text(reshape.shape)}"
        message = f"{reshape.op} of {shapes} mixes the samples: the batch axis, first in memory, is not first behind it"
        return Fault(at(reshape, module=owner(graph, reshape)), message, (source.shape,))
    if not _by_mistake(subject, first.op, node):
        return None
    message = f"{first.op}{_words(node)} mixes the samples: in evaluation one's output changes with the others"
    if node is None:
        return Fault(Where(len(graph) - 1, first.module, first.place), message)
    return Fault(at(node, module=owner(graph, node)), message, met(graph, node))


def _by_mistake(subject: Subject, op: str, node: Node | None) -> bool:
    """Do samples meet in an operation without being meant to?"""
    if node is None:
        return op in _BY_MISTAKE
    pairs = _pairs(subject, node)
    if op in _BY_MISTAKE:
        return not pairs and not (has_role(node, "regroups") and _whole(subject.graph, node))
    if not _proven(subject) or not node.spec.dtype.startswith(("float", "bfloat", "complex")):
        return False  # counts and places: the order in which experts take tokens (Switch transformers, 2101.03961)
    if has_role(node, "product"):
        return pairs and all(subject.ancestry.active[i] for i in node.inputs)
    return op.startswith("fft_") or (op in _REDUCED and _over_the_batch(subject, node))


def _proven(subject: Subject) -> bool:
    """Is the first axis surely one of samples, not of the members of one set, whose output has a row for each too?"""
    graph = subject.graph
    given = graph[graph.inputs[0]]
    told = (given.index, 0) in sample_axes(subject)
    rows = len(given.shape) < 3 and given.spec.dtype.startswith("float")
    return told and (not rows or any(has_role(node, "conv") for node in graph))


def _over_the_batch(subject: Subject, node: Node) -> bool:
    """Does a reduction take the samples together, otherwise than to centre them or to find a scale for rounding?"""
    graph, source = subject.graph, node.inputs[0]
    dims = node.argument("dim", node.argument("arg1"))
    if dims is None:
        return len(node.inputs) == 1 and not any(other.op in _ROUNDED for other in graph)
    axes = [
        axis_of(subject, source, d) for d in (dims if isinstance(dims, tuple | list) else (dims,)) if isinstance(d, int)
    ]
    centres = node.op == "mean" and any(reader.op in ("sub", "rsub") for reader in readers(graph, node.index))
    return (graph.inputs[0], 0) in axes and not centres


def _whole(graph: Graph, node: Node) -> bool:
    """Does a view make groups of whole samples: frames of a video (TSM, 1811.08383), groups of a batch (1710.10196)?"""
    return any(prod(node.shape[:k]) == graph[node.inputs[0]].shape[0] for k in range(2, len(node.shape)))


def _words(node: Node | None) -> str:
    dim = node.arguments.get("dim") if node is not None else None
    return f" along axis {dim}" if isinstance(dim, int) else ""


def _first_meeting(witness: Witness, samples: int) -> Step | None:
    """The first operation whose result for the first sample changes with the others."""
    own, other = Stream(), Stream()
    witness.run(training=False, see=own.see)
    witness.run(_other_samples(witness, samples), training=False, see=other.see)
    for one, two in zip(own.steps, other.steps, strict=False):
        if (one.op, one.module) != (two.op, two.module):
            return None  # another way through the code: nothing to compare
        if not all(keeps_apart(a, b, samples) for a, b in zip(one.results, two.results, strict=False) if len(a)):
            return one
    return None


def _pairs(subject: Subject, node: Node) -> bool:
    """Is it made for every pair of samples?"""
    larger = _larger_batch(subject)
    return larger is not None and len(_grown(node.shape, larger[node.index].shape)) > 1


def _losing_the_batch(subject: Subject) -> Node | None:
    """The first reshape that calls another axis the batch than the one that lies first in memory, or joins samples."""
    larger, first = _larger_batch(subject), subject.graph[subject.graph.inputs[0]]
    if larger is None:
        return None
    for node in subject.graph:
        if not has_role(node, "regroups") or not node.inputs or not subject.ancestry.active[node.index]:
            continue
        source = node.inputs[0]
        before, behind = (_grown(subject.graph[i].shape, larger[i].shape) for i in (source, node.index))
        if before != [0] or subject.graph[source].shape[:1] != first.shape[:1] or len(behind) != 1:
            continue
        regrouped = prod(node.shape[: behind[0]]) > 1 or node.shape[behind[0]] < first.shape[0]
        if regrouped and not _whole(subject.graph, node):
            return node
    return None


def _split(subject: Subject, witness: Witness) -> Fault | None:
    """A view that makes several rows of a sample, each with a part of its channels, which the network returns so."""
    graph = subject.graph
    if len(graph.outputs) != 1 or not graph[graph.outputs[0]].shape:
        return None
    rows = graph[graph.outputs[0]].shape[0]
    for node in graph:
        if not has_role(node, "regroups") or len(node.shape) != 2 or node.shape[0] != rows or not node.inputs:
            continue
        source, asked = graph[node.inputs[0]].shape, node.arguments.get("shape")
        inferred = isinstance(asked, tuple) and asked[:1] == (-1,)
        whole = {prod(source[:k]) for k in range(len(source) + 1)}  # (batch, steps, features) -> rows of features
        if inferred and len(source) > 2 and rows > source[0] and rows % source[0] == 0 and rows not in whole:
            message = (
                f"{node.op} of {shape_text(source)} to {shape_text(node.shape)} makes {rows // source[0]} rows of each "
                f"sample: the network returns {rows} for {source[0]}"
            )
            return Fault(at(node, module=owner(graph, node)), message, (source,))
    return None
