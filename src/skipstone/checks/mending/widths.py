"""Layers of another width: torch's own layers made anew for what arrives, and projections between widths."""

from collections.abc import Mapping

from torch import nn

from skipstone.core.edit import ModuleSpec
from skipstone.graphs.operations import names

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
# Of these, `bias` is either no argument of the class or among the settings.
_NO_BIAS = tuple(
    kind for kind, (argument, _) in _SETTINGS.items() if argument in ("num_features", "num_channels", "num_parameters")
)
_DEFAULTS: Mapping[str, object] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", "output_padding": 0, "bias": True,
    "eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True, "elementwise_affine": True,
    "num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False,
}  # fmt: skip
_RECURRENT_OPS = names("recurrent")


def layer_of_width(module: nn.Module, width: int) -> ModuleSpec | None:
    """The same layer made for `width` features in; None for a class that is not known or a width its groups refuse."""
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


def layer_of_output(module: nn.Module, width: int) -> ModuleSpec | None:
    """The same convolution or linear layer with `width` features out; None for another class or a width it refuses."""
    argument = "out_features" if isinstance(module, nn.Linear) else "out_channels"
    wanted, kept = _SETTINGS.get(type(module), ("", ()))
    if argument not in kept or width < 1 or width % getattr(module, "groups", 1):
        return None
    arguments = {wanted: getattr(module, wanted), **{name: getattr(module, name) for name in kept}, argument: width}
    if "bias" not in arguments:
        arguments["bias"] = module.bias is not None
    return ModuleSpec(type(module).__name__, _without_defaults(arguments))


def _without_defaults(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments as one would write them: single numbers for equal ones, defaults left out."""
    short = {}
    for name, value in arguments.items():
        plain = value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value
        if name not in _DEFAULTS or _DEFAULTS[name] != plain:
            short[name] = plain
    return short


def projection(got: int, wanted: int, rank: int, op: str) -> ModuleSpec | None:
    """A layer from `got` to `wanted` features in front of an operation whose input has `rank` axes."""
    if op in _RECURRENT_OPS:
        return None
    if op == "linear" or rank == 2:
        return ModuleSpec("Linear", {"in_features": got, "out_features": wanted})
    if rank in (3, 4, 5) and op not in ("layer_norm", "rms_norm"):
        return ModuleSpec(f"Conv{rank - 2}d", {"in_channels": got, "out_channels": wanted, "kernel_size": 1})
    return None
