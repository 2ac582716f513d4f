"""The layers of a network whose gradients are worth watching: those with a weight matrix or filter bank."""

from dataclasses import dataclass

from torch import nn

from skipstone.runs.flow import LayerKind

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class Layer:
    """A weight of two or more axes, the module that owns it, and all modules that share it."""

    name: str
    kind: LayerKind
    weight: nn.Parameter
    module: nn.Module
    modules: tuple[nn.Module, ...] = ()


def find_layers(model: nn.Module, *, frozen: bool = False) -> tuple[Layer, ...]:
    """Every trainable weight of two or more axes, once, in the order of the network's modules.

    Named by its module where it is that module's `weight`, else by its own full name (`attn.in_proj_weight`). Biases
    and normalisation scales have one axis and are left out. With `frozen`, those that require no gradient instead.
    """
    layers: dict[int, Layer] = {}
    sharing: dict[int, list[nn.Module]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim < 2 or parameter.requires_grad == frozen:
                continue
            sharing.setdefault(id(parameter), []).append(module)
            if id(parameter) not in layers:
                full = f"{path}.{name}" if path else name
                label = path if name == "weight" and path else full
                layers[id(parameter)] = Layer(label, _kind(module), parameter, module)
    return tuple(
        Layer(layer.name, layer.kind, layer.weight, layer.module, tuple(sharing[key])) for key, layer in layers.items()
    )


def _kind(module: nn.Module) -> LayerKind:
    if isinstance(module, _CONV):
        return "conv"
    return "linear" if isinstance(module, nn.Linear) else "other"
