"""The layers of a network whose gradients are worth watching: those with a weight matrix or filter bank."""

from dataclasses import dataclass

from torch import nn

from skipstone.runs.records import LayerKind

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class Layer:
    """A weight of two or more axes and the module that owns it."""

    name: str
    kind: LayerKind
    weight: nn.Parameter
    module: nn.Module


def find_layers(model: nn.Module) -> tuple[Layer, ...]:
    """Every trainable weight of two or more axes, once, in the order of the network's modules.

    Named by its module where it is that module's `weight`, else by its own full name (`attn.in_proj_weight`). Biases
    and normalisation scales have one axis and are left out.
    """
    layers = []
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim < 2 or not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            full = f"{path}.{name}" if path else name
            label = path if name == "weight" and path else full
            layers.append(Layer(label, _kind(module), parameter, module))
    return tuple(layers)


def _kind(module: nn.Module) -> LayerKind:
    if isinstance(module, _CONV):
        return "conv"
    return "linear" if isinstance(module, nn.Linear) else "other"
