"""What torch's operations are called and what their arguments are named.

Torch's own functions are written in C and carry no signature, so the argument names are a table here.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache


def words(text: str) -> frozenset[str]:
    """The words of a text, as the tables of names here are written."""
    return frozenset(text.split())


_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONV_TRANSPOSE = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_MAX_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVG_POOL = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
_ADAPTIVE = ("input", "output_size")
_REDUCE = ("input", "dim", "keepdim")

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _CONV),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _CONV_TRANSPOSE),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _MAX_POOL),
    "avg_pool1d": _AVG_POOL[:6],
    **dict.fromkeys(("avg_pool2d", "avg_pool3d"), _AVG_POOL),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_max_pool1d"), _ADAPTIVE),
    **dict.fromkeys(("sum", "mean", "amax", "amin", "max", "min", "prod", "std", "var", "logsumexp"), _REDUCE),
    "linear": ("input", "weight", "bias"),
    "bilinear": ("input1", "input2", "weight", "bias"),
    **dict.fromkeys(("add", "sub", "mul", "div"), ("input", "other")),
    **dict.fromkeys(("cat", "stack", "concat", "concatenate"), ("tensors", "dim")),
    "flatten": ("input", "start_dim", "end_dim"),
    "transpose": ("input", "dim0", "dim1"),
    "squeeze": ("input", "dim"),
    "unsqueeze": ("input", "dim"),
    "softmax": ("input", "dim"),
    "chunk": ("input", "chunks", "dim"),
    "split": ("input", "split_size_or_sections", "dim"),
    "getitem": ("input", "index"),
    "setitem": ("input", "index", "value"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "roll": ("input", "shifts", "dims"),
    "narrow": ("input", "dim", "start", "length"),
    "select": ("input", "dim", "index"),
    "unfold": ("input", "dimension", "size", "step"),
    "matmul": ("input", "other"),
    "bmm": ("input", "mat2"),
    "mm": ("input", "mat2"),
    "dropout": ("input", "p", "training", "inplace"),
    "unflatten": ("input", "dim", "sizes"),
    "repeat_interleave": ("input", "repeats", "dim"),
    "rsub": ("input", "other"),
    "clamp": ("input", "min", "max"),
    "prelu": ("input", "weight"),
}
# Sizes may be given one by one or as one tuple: x.view(2, 3) and x.view((2, 3)).
SIZED: Mapping[str, str] = {
    "view": "shape", "reshape": "shape", "expand": "size", "permute": "dims", "repeat": "repeats", "tile": "dims",
    "flip": "dims",
}  # fmt: skip

_RENAMED = {
    "truediv": "div", "rtruediv": "div", "itruediv": "div", "idiv": "div", "true_divide": "div", "divide": "div",
    "radd": "add", "iadd": "add", "subtract": "sub", "isub": "sub", "multiply": "mul", "rmul": "mul", "imul": "mul",
    "rmatmul": "matmul", "imatmul": "matmul", "concat": "cat", "concatenate": "cat", "swapaxes": "transpose",
    "swapdims": "transpose", "moveaxis": "movedim", "T": "t", "mT": "transpose", "H": "t", "data": "detach",
    "_max_pool1d": "max_pool1d", "_max_pool2d": "max_pool2d", "_max_pool3d": "max_pool3d",
    "_convolution": "convolution", "native_batch_norm": "batch_norm", "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "ipow": "pow", "imod": "remainder", "ior": "or", "iand": "and",
}  # fmt: skip


@cache
def canonical(name: str) -> str:
    """One name for `add`, `add_`, `__add__`, `__iadd__` and `__radd__`: `add`."""
    name = name.partition(".")[0]  # of an overload: add.Tensor
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
    elif name.endswith("_") and not name.startswith("_"):
        name = name[:-1]
    return _RENAMED.get(name, name)


def named_arguments(
    op: str, function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> dict[str, object]:
    """Every argument by name; `arg0`, `arg1`, ... where no name is known."""
    if op in SIZED and args:
        sizes = args[1] if len(args) == 2 and isinstance(args[1], tuple | list) else args[1:]
        named = {"input": args[0]}
        return {**named, **({SIZED[op]: tuple(sizes)} if len(args) > 1 else {}), **kwargs}
    names = ARGUMENTS.get(op) or _signature(function)
    pairs = {names[i] if i < len(names) else f"arg{i}": value for i, value in enumerate(args)}
    return {**pairs, **kwargs}


@cache
def _signature(function: Callable[..., object]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


_AUGMENTED = frozenset(
    f"__i{name}__" for name in words("add sub mul truediv floordiv mod pow and or xor matmul lshift rshift")
)
_FLAGGED = words(
    """relu relu6 celu elu leaky_relu hardtanh rrelu selu threshold silu mish hardswish hardsigmoid dropout dropout1d
    dropout2d dropout3d alpha_dropout feature_alpha_dropout"""
)
_INPLACE_ACTIVATIONS = words(
    """relu_ celu_ elu_ leaky_relu_ hardtanh_ rrelu_ selu_ threshold_ sigmoid_ tanh_ dropout_ hardsigmoid_ hardswish_
    silu_ mish_"""
)


def is_augmented(name: str) -> bool:
    """Is it what Python calls for `x += y` and its like?"""
    return name in _AUGMENTED


@cache
def is_inplace(name: str) -> bool:
    """Does a function of this name write over its first argument?"""
    return name in _AUGMENTED or name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def may_flag_inplace(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
    """Is it an activation or a dropout that was asked to work in place?"""
    flagged = kwargs.get("inplace") is True or (name in _FLAGGED and any(value is True for value in args[1:]))
    return flagged or name in _INPLACE_ACTIVATIONS
