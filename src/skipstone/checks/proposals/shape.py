"""Repairs of ranks, reshapes and tables that do not fit."""

from collections.abc import Iterator
from math import prod

from torch import nn

from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, ReplaceModule, Transform
from skipstone.core.finding import Finding
from skipstone.surgery import site_of


def rank_mismatch(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """Flatten the deeper operand, or give the flatter one axes of size 1 at its end."""
    node = subject.graph[finding.node]
    site = site_of(subject.graph, node.index)
    ranks = [len(subject.graph[i].shape) for i in node.inputs]
    deep = [k for k, rank in enumerate(ranks) if rank > 2]
    if min(ranks) == 2:
        flat = tuple(MapOperand(site, k, Transform("flatten")) for k in deep)
        yield Proposal("flatten the deeper operand", flat, "all its values become features")
    shallow = [k for k, rank in enumerate(ranks) if rank < max(ranks)]
    edits = tuple(
        MapOperand(site, k, Transform("unsqueeze", arguments={"dims": (-1,) * (max(ranks) - ranks[k])}))
        for k in shallow
    )
    yield Proposal(
        "give the flatter operand its axes back",
        edits,
        "axes of size 1 at its end; values unchanged",
        keeps_output=True,
    )


def reshape_mismatch(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """Axes first for an expand; for a view, a projection to the number of features that it asks for."""
    node = subject.graph[finding.node]
    site = site_of(subject.graph, node.index)
    source, wanted = finding.operands[0], finding.operands[-1]
    if node.op == "expand" and len(wanted) > len(source):
        dims = (-1,) * (len(wanted) - len(source))
        edit = MapOperand(site, 0, Transform("unsqueeze", arguments={"dims": dims}))
        yield Proposal("give the tensor its missing axes first", (edit,), "axes of size 1 at its end; values unchanged")
        return
    if not wanted or min(wanted) < 0 or wanted[0] != source[0]:
        return
    features = prod(wanted) // max(1, prod(source[:-1]))
    if features * prod(source[:-1]) == prod(wanted) and features != source[-1]:
        spec = ModuleSpec("Linear", {"in_features": source[-1], "out_features": features})
        edit = MapOperand(site, 0, Transform("module", spec))
        yield Proposal(f"{spec} before the {node.op}", (edit,), "a learned projection to the width that is asked for")


def fixed_table(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """The table resampled to the tokens that arrive; of an embedding, one with more rows."""
    node = subject.graph[finding.node]
    rows = finding.data.get("rows")
    module = subject.model.get_submodule(node.module)
    if isinstance(rows, int) and type(module) is nn.Embedding:
        spec = ModuleSpec("Embedding", {"num_embeddings": rows, "embedding_dim": module.embedding_dim})
        yield Proposal(f"{node.module} = {spec}", (ReplaceModule(node.module, spec),), "a row for each position")
    table = finding.data.get("table")
    if not isinstance(table, int) or table not in node.inputs[:2]:
        return
    position = node.inputs.index(table)
    shapes = [subject.graph[i].shape for i in node.inputs[:2]]
    ranks = [len(shape) for shape in shapes]
    # Of unequal ranks the axes are counted from the right, as torch does.
    shared = range(1, ranks[0]) if ranks[0] == ranks[1] else range(-min(ranks), 0)
    axes = tuple(a for a in shared if shapes[0][a] != shapes[1][a] and shapes[position][a] != 1)
    change = Transform("interpolate-like", like=1 - position, arguments={"axes": axes})
    edit = MapOperand(site_of(subject.graph, node.index), position, change)
    yield Proposal(
        "resample the table to the number of tokens",
        (edit,),
        "every size becomes legal; the table's own stays as trained",
        keeps_output=True,
    )


def one_value_per_channel(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """A norm that needs no batch."""
    node = subject.graph[finding.node]
    module = subject.model.get_submodule(node.module)
    channels = subject.graph[node.inputs[0]].shape[1]
    if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.instancenorm._InstanceNorm):
        spec = ModuleSpec("GroupNorm", {"num_groups": 1, "num_channels": channels})
        yield Proposal(
            f"{node.module} = {spec}", (ReplaceModule(node.module, spec),), "a norm over each image's own features"
        )
