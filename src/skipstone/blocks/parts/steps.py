"""The steps of a plan as modules: what the planner's arithmetic says, done to tensors of shape (N, C, ...)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.blocks.parts import layers
from skipstone.shapes.arithmetic import FloorMap
from skipstone.shapes.reconcile import Layout, Plan, Shape, Step, named, reconcile, zero_channel_amounts

_LINEAR_MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Subsample(nn.Module):
    """Every s-th position of each spatial axis: `x[:, :, ::s, ::s]`, size ceil(H / s)."""

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)

    def forward(self, x: Tensor) -> Tensor:
        return x[(slice(None), slice(None), *(slice(None, None, stride) for stride in self.strides))]

    def extra_repr(self) -> str:
        return f"strides={self.strides}"


class ZeroChannels(nn.Module):
    """Append zero channels, `before` and `after`: (N, C, ...) -> (N, before + C + after, ...)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (*[0] * (2 * (x.dim() - 2)), self.before, self.after))

    def extra_repr(self) -> str:
        return f"before={self.before}, after={self.after}"


class Fit(nn.Module):
    """Zero-pad (positive) or crop (negative) each spatial axis by fixed amounts (before, after)."""

    def __init__(self, amounts: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.amounts = tuple(amounts)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, [amount for pair in reversed(self.amounts) for amount in pair])

    def extra_repr(self) -> str:
        return f"amounts={self.amounts}"


class Resize(nn.Module):
    """Linear interpolation to fixed sizes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.sizes, mode=_LINEAR_MODE[len(self.sizes)])

    def extra_repr(self) -> str:
        return f"sizes={self.sizes}"


class Unshuffle(nn.Module):
    """Blocks of r^n positions into channels: (N, C, rH, ...) -> (N, C r^n, H, ...), in `pixel_unshuffle`'s order."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        axes, r = x.dim() - 2, self.factor
        y = x.reshape(*x.shape[:2], *(n for size in x.shape[2:] for n in (size // r, r)))
        # (N, C, H, r, W, r) -> (N, C, r, r, H, W)
        order = [0, 1, *(3 + 2 * i for i in range(axes)), *(2 + 2 * i for i in range(axes))]
        return y.permute(order).flatten(1, 1 + axes)

    def extra_repr(self) -> str:
        return f"factor={self.factor}"


def build(plan: Plan) -> nn.Module:
    """The plan as a module; the identity for a plan without steps. Convolutions are He-initialised, without bias."""
    modules = [_module(step) for step in plan.steps]
    if not modules:
        return nn.Identity()
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def shortcut_between(
    source: Shape, target: Shape, name: str = "auto", follow: Sequence[Sequence[int] | None] = ()
) -> nn.Module:
    """The module that gives a (N, *source) tensor shape (N, *target) by the plan called `name`, or the planner's
    first choice. `follow` holds the branch's size map an axis as (stride, shift), see `FloorMap`. `SizeError` where no
    plan fits."""
    maps = tuple(FloorMap(*pair) if pair is not None else None for pair in follow)
    plans = reconcile(tuple(source), tuple(target), maps)
    if name == "auto" and plans:
        return build(plans[0])
    return build(named(plans, name))


def option_a(
    in_channels: int, out_channels: int, stride: int = 1, layout: Layout = "after", *, dims: int = 2
) -> nn.Module:
    """Subsample by `stride`, then fill up with zero channels; no parameters. `SizeError` where channels shrink."""
    before, after = zero_channel_amounts(in_channels, out_channels, layout)
    modules: list[nn.Module] = []
    if stride != 1:
        modules.append(Subsample([stride] * layers.check_dims(dims)))
    if before or after:
        modules.append(ZeroChannels(before, after))
    return nn.Sequential(*modules) if modules else nn.Identity()


def code(plan: Plan) -> str | None:
    """The plan as torch source, for a repair to print; None where a step has no single torch module."""
    if not plan.steps:
        return "nn.Identity()"
    texts = [_code(step) for step in plan.steps]
    if None in texts:
        return None
    return str(texts[0]) if len(texts) == 1 else f"nn.Sequential({', '.join(map(str, texts))})"


def _geometry(step: Step) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    windows = step.windows
    return tuple(w.kernel for w in windows), tuple(w.stride for w in windows), tuple(w.padding for w in windows)


def _module(step: Step) -> nn.Module:
    axes = len(step.source) - 1
    match step.operation:
        case "subsample":
            return Subsample([w.stride for w in step.windows])
        case "zero_channels":
            return ZeroChannels(*step.amounts[0])
        case "pad":
            return Fit(step.amounts)
        case "interpolate":
            return Resize(step.target[1:])
        case "unshuffle":
            return Unshuffle(step.factor)
        case "adaptive_avg_pool":
            return _torch(nn, f"AdaptiveAvgPool{axes}d", step.target[1:])
        case "max_pool" | "avg_pool":
            kernel, stride, padding = _geometry(step)
            name = f"{'Max' if step.operation == 'max_pool' else 'Avg'}Pool{axes}d"
            options = {} if step.operation == "max_pool" else {"count_include_pad": False}
            ceil_mode = any(w.ceil_mode for w in step.windows)
            return _torch(nn, name, kernel, stride, padding, ceil_mode=ceil_mode, **options)
        case "conv" | "conv_transpose":
            return _conv(step, axes)


def _torch(namespace: object, name: str, *arguments: object, **options: object) -> nn.Module:
    module = getattr(namespace, name)(*arguments, **options)
    assert isinstance(module, nn.Module)
    return module


def _conv(step: Step, axes: int) -> nn.Module:
    channels, out_channels = step.source[0], step.target[0]
    kernel, stride, padding = _geometry(step)
    if axes == 0:
        layer = nn.Linear(channels, out_channels, bias=False)
    elif step.operation == "conv":
        layer = _torch(nn, f"Conv{axes}d", channels, out_channels, kernel, stride, padding, bias=False)  # type: ignore[assignment]
    else:
        spare = tuple(w.output_padding for w in step.windows)
        options = {"output_padding": spare, "bias": False}
        layer = _torch(nn, f"ConvTranspose{axes}d", channels, out_channels, kernel, stride, padding, **options)  # type: ignore[assignment]
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _one(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(values)


def _code(step: Step) -> str | None:
    axes = len(step.source) - 1
    match step.operation:
        case "conv" | "conv_transpose" | "avg_pool" | "max_pool":
            return _window_code(step, axes)
        case "adaptive_avg_pool":
            return f"nn.AdaptiveAvgPool{axes}d({_one(step.target[1:])})"
        case "interpolate":
            return f"nn.Upsample({step.target[1:]}, mode={_LINEAR_MODE[axes]!r})"
        case "pad":
            amounts = tuple(amount for pair in reversed(step.amounts) for amount in pair)
            return f"nn.ZeroPad{axes}d({amounts})"
        case "unshuffle" if axes == 2:
            return f"nn.PixelUnshuffle({step.factor})"
        case _:
            return None


def _window_code(step: Step, axes: int) -> str:
    kernel, stride, padding = _geometry(step)
    spare = tuple(w.output_padding for w in step.windows)
    pooling = step.operation.endswith("pool")
    ceil_mode = any(w.ceil_mode for w in step.windows)
    arguments = [] if pooling else [f"{step.source[0]}, {step.target[0]}"]
    arguments += [_one(kernel)] if axes else []
    arguments += [f"stride={_one(stride)}"] if pooling or any(s != 1 for s in stride) else []
    arguments += [f"padding={_one(padding)}"] if any(padding) else []
    arguments += [f"output_padding={_one(spare)}"] if any(spare) else []
    arguments += ["ceil_mode=True"] if ceil_mode else []
    if step.operation == "avg_pool" and (any(padding) or ceil_mode):
        arguments.append("count_include_pad=False")
    arguments += [] if pooling else ["bias=False"]
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "avg_pool": "AvgPool", "max_pool": "MaxPool"}
    name = f"{names[step.operation]}{axes}d" if axes else "Linear"
    return f"nn.{name}({', '.join(arguments)})"
