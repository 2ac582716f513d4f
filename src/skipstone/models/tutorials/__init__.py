"""The small networks of five tutorials on skip connections, as far as their code goes, and their repairs.

Four of them are broken on purpose: `TwoConvResidual`, `ResNetBlock`, `ResidualBlock` with unequal channels and
`DeepCNN`. Importing this package imports no torch.
"""

from importlib import import_module

_HOMES = {
    "LayerOneToThree": "layer_one_to_three",
    "TwoConvResidual": "two_conv_residual",
    "TwoConvResidualRepaired": "two_conv_residual",
    "ResNetBlock": "resnet_block",
    "ResNetBlockRepaired": "resnet_block",
    "ResidualBlock": "residual_block",
    "SkipConnectionBlock": "skip_connection_block",
    "DeepCNN": "deep_cnn",
    "DeepCNNRepaired": "deep_cnn",
    "FinishedCNN": "finished_cnn",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
