"""Repairs of a layer of the wrong width: a layer made for what arrives, or a projection before it."""

from collections.abc import Iterator, Mapping

from torch import nn

from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.rules.wrong_width import RECURRENT
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, ReplaceModule, SetArgument, Transform
from skipstone.core.finding import Finding
from skipstone.surgery import site_of

# For each class: the argument that holds the width in, and the settings to carry over.
_CONV = ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_NORM = ("eps", "momentum", "affine", "track_running_stats")
_RECURRENT = ("hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
_SETTINGS: Mapping[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), ("in_channels", _CONV)),
    **dict.fromkeys(
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), ("in_channels", (*_CONV[:6], "output_padding"))
    ),
    nn.Linear: ("in_features", ("out_features",)),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), ("num_features", _NORM)),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), ("num_features", _NORM)),
    nn.LayerNorm: ("normalized_shape", ("eps", "elementwise_affine")),
    nn.GroupNorm: ("num_channels", ("num_groups", "eps", "affine")),
    nn.PReLU: ("num_parameters", ()),
    **dict.fromkeys((nn.LSTM, nn.GRU, nn.RNN), ("input_size", _RECURRENT)),
}


def wrong_width(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """The concatenation's axis where that is the cause, else another width of the layer or a projection before it."""
    wanted, got, axis = (finding.data.get(key) for key in ("wanted", "got", "axis"))
    if "stacked" in finding.data:
        yield from _unstacked(subject, finding)
        return
    if isinstance(axis, int):
        edit = SetArgument(site_of(subject.graph, finding.node), "dim", axis)
        yield Proposal(f"concatenate along axis {axis}", (edit,), "the next layer gets the width it was made for")
        return
    if not isinstance(wanted, int) or not isinstance(got, int) or wanted == got:
        return
    node = subject.graph[finding.node]
    spec = _of_width(subject, node.module, got)
    if spec is not None:
        info = subject.graph.modules[node.module]
        yield Proposal(
            f"{node.module} = {spec}",
            (ReplaceModule(node.module, spec),),
            f"{info.type} made for the {got} that arrive",
        )
    projection = _projection(got, wanted, len(subject.graph[node.inputs[0]].shape), node.op)
    if projection is not None:
        edit_before = MapOperand(site_of(subject.graph, node.index), 0, Transform("module", projection))
        yield Proposal(
            f"{projection} before {node.module or node.op}", (edit_before,), "the layer and its weights stay"
        )


def _unstacked(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """The stack's own axis joined with the features' behind it: what a concatenation would have given."""
    axis, stacked, layer = (finding.data.get(key) for key in ("axis", "stacked", "layer"))
    if isinstance(axis, int) and isinstance(layer, int) and stacked == axis:
        spec = ModuleSpec("Flatten", {"start_dim": axis, "end_dim": axis + 1})
        edit = MapOperand(site_of(subject.graph, layer), 0, Transform("module", spec))
        yield Proposal(
            f"{spec} behind the stack (or torch.cat(..., {axis}) in its place)",
            (edit,),
            "the stacked maps stand side by side in the features",
        )


def _of_width(subject: Subject, path: str, width: int) -> ModuleSpec | None:
    module = subject.model.get_submodule(path)
    settings = _SETTINGS.get(type(module))
    if settings is None:
        return None
    argument, kept = settings
    groups = getattr(module, "groups", getattr(module, "num_groups", 1))
    if width % groups:
        return None
    arguments = {argument: width, **{name: getattr(module, name) for name in kept}}
    if hasattr(module, "bias") and "bias" not in arguments and type(module) not in _NO_BIAS:
        arguments["bias"] = module.bias is not None
    return ModuleSpec(type(module).__name__, _without_defaults(arguments))


_NO_BIAS = tuple(
    kind for kind, (argument, _) in _SETTINGS.items() if argument in ("num_features", "num_channels", "num_parameters")
)
_DEFAULTS: Mapping[str, object] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", "output_padding": 0, "bias": True,
    "eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True, "elementwise_affine": True,
    "num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False,
}  # fmt: skip


def _without_defaults(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments as one would write them: single numbers for equal ones, defaults left out."""
    short = {}
    for name, value in arguments.items():
        plain = value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value
        if name not in _DEFAULTS or _DEFAULTS[name] != plain:
            short[name] = plain
    return short


def _projection(got: int, wanted: int, rank: int, op: str) -> ModuleSpec | None:
    if op in RECURRENT:
        return None
    if op == "linear" or rank == 2:
        return ModuleSpec("Linear", {"in_features": got, "out_features": wanted})
    if rank in (3, 4, 5) and op not in ("layer_norm", "rms_norm"):
        return ModuleSpec(f"Conv{rank - 2}d", {"in_channels": got, "out_channels": wanted, "kernel_size": 1})
    return None
