"""What is known of torch's operations: one table, a row an operation; a new operation is a new row.

Every other module asks here: by role (`names("norm")`, `has_role(node, "layer")`), by merge, by the rule for its axes
(`graphs/axes.py`) and for its multiply-adds (`graphs/costs.py`). Torch's own functions are written in C and carry no
signature, so that their argument names stand here too.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from skipstone.core.graph import Node
from skipstone.core.skip import Merge

Role = Literal[
    "layer",  # mixes values with weights
    "conv",
    "recurrent",
    "product",  # of matrices: a layer where one of them is a weight
    "aggregating",  # gathers values from other places of the same tensor: messages in a graph
    "transform",  # every result reads every place: Fourier's
    "norm",
    "features first",  # takes axis 1 for the features, and axis 0 for the samples
    "features last",
    "pool",
    "average pool",
    "resample",  # other sizes of the same values
    "slice",  # a part of the values
    "apart",  # values of one axis to several, beside the slices
    "select",  # rows picked by an index that may come from data
    "transparent",  # values pass unchanged, or scaled by chance (dropout)
    "same",  # transparent, in their order, with their gradient, scaled by nothing
    "moves axes",
    "keeps largest",  # a view or copy that has the same largest value
    "regroups",  # reads the values in other groups: view, reshape
    "like",  # the first operand's values, with the dtype or shape of the second
    "shape only",  # a result of shapes, indices or chance: not the operands' values
    "random",
    "squash",  # into a fixed range, as gates are
    "rectifier",
    "pointwise",  # one value in, one value out
    "spatial",  # changes sizes behind axis 1 alone
    "masking",  # some values replaced by a number
    "arithmetic",  # of two tensors, broadcast
    "broadcasting",  # of two or more tensors, choices included
    "comparing",
    "sum",  # of two tensors, or their difference
    "scale",  # a product or quotient
    "join",  # of a list of tensors
    "reduction",  # over named axes
    "averaging",  # a reduction used for pooling
    "inplace flag",  # has an argument `inplace`
    "assigning",  # writes values into a tensor
    "loss",
]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of torch by its name without underscores.

    `arguments` are its own names for them, in order; `sizes` the argument that takes sizes one by one or as one tuple;
    `merge` how it joins its operands, None where it does not; `axes` and `macs` name the rules in `graphs/axes.py` and
    `graphs/costs.py` ("" for none: elementwise, no products).
    """

    name: str
    roles: frozenset[Role]
    arguments: tuple[str, ...] = ()
    merge: Merge | None = None
    sizes: str = ""
    axes: str = ""
    macs: str = ""


def words(text: str) -> frozenset[str]:
    """The words of a text, as the tables of names here are written."""
    return frozenset(text.split())


def _rows(
    names: str,
    roles: str = "",
    arguments: str = "",
    merge: Merge | None = None,
    sizes: str = "",
    axes: str = "",
    macs: str = "",
) -> Iterator[Operation]:
    found = frozenset(role.strip() for role in roles.split(",") if role.strip())
    unknown = found - set(get_args(Role))
    if unknown:
        raise ValueError(f"no such role: {', '.join(sorted(unknown))}")
    for name in names.split():
        yield Operation(name, found, tuple(arguments.split()), merge, sizes, axes, macs)  # type: ignore[arg-type]


def _of_dims(stem: str, count: int = 3) -> str:
    return " ".join(f"{stem}{n}d" for n in range(1, count + 1))


_REDUCE = "input dim keepdim"
_POOL = "kernel_size stride padding"

_TABLE: tuple[Iterator[Operation], ...] = (
    # layers
    _rows(_of_dims("conv"), "layer, conv, features first", "input weight bias stride padding dilation groups",
          axes="conv", macs="convolution"),
    _rows(_of_dims("conv_transpose"), "layer, conv, features first",
          "input weight bias stride padding output_padding groups dilation", axes="conv", macs="transposed"),
    _rows("convolution", "layer", macs="unknown"),
    _rows("linear", "layer, features last", "input weight bias", axes="linear", macs="inner"),
    _rows("bilinear", "layer", "input1 input2 weight bias", axes="linear", macs="bilinear"),
    _rows("lstm gru", "layer, recurrent, features last", axes="attention", macs="unknown"),
    _rows("rnn_tanh rnn_relu", "layer, recurrent, features last", macs="unknown"),
    _rows("lstm_cell gru_cell", "layer", macs="unknown"),
    _rows("rnn_tanh_cell rnn_relu_cell chain_matmul multi_dot transformer_encoder_layer_fwd", macs="unknown"),
    _rows("embedding", "layer, features last", axes="embedding"),
    _rows("embedding_bag _native_multi_head_attention", "layer"),
    _rows("multi_head_attention_forward", "layer, features last", axes="attention", macs="unknown"),
    _rows("scaled_dot_product_attention", "features last", axes="attention", macs="attention"),
    _rows("matmul", "product", "input other", axes="matmul", macs="inner"),
    _rows("bmm mm", "product", "input mat2", axes="matmul", macs="inner"),
    _rows("mv dot", macs="inner"),
    _rows("addmm baddbmm", "product, broadcasting", merge="add", macs="added"),
    _rows("einsum", "product", axes="einsum", macs="einsum"),
    _rows("fft_fft fft_fft2 fft_fftn fft_ifft fft_ifft2 fft_ifftn", "transform"),
    _rows("fft_rfft fft_rfft2 fft_rfftn fft_irfft fft_irfft2 fft_irfftn", "transform"),
    _rows("tensordot", "product", axes="unknown", macs="unknown"),
    # norms
    _rows("batch_norm group_norm instance_norm", "norm, features first", axes="first"),
    _rows("layer_norm rms_norm", "norm, features last", axes="first"),
    _rows("local_response_norm normalize", "norm", axes="first"),
    # pools and other sizes of the same values
    _rows("max_pool1d max_pool2d max_pool3d", "pool, resample, spatial",
          f"input {_POOL} dilation ceil_mode return_indices", axes="pool"),
    _rows("avg_pool1d", "pool, resample, spatial, average pool", f"input {_POOL} ceil_mode count_include_pad",
          axes="pool"),
    _rows("avg_pool2d avg_pool3d", "pool, resample, spatial, average pool",
          f"input {_POOL} ceil_mode count_include_pad divisor_override", axes="pool"),
    _rows(_of_dims("lp_pool"), "pool, resample, spatial", axes="pool"),
    _rows(_of_dims("adaptive_avg_pool"), "pool, resample, spatial, average pool", "input output_size", axes="pool"),
    _rows(_of_dims("adaptive_max_pool"), "pool, resample, spatial", "input output_size", axes="pool"),
    _rows("fractional_max_pool2d", "pool, resample, spatial"),
    _rows(_of_dims("max_unpool"), "pool, resample, spatial, select", "input indices kernel_size stride padding"),
    _rows("interpolate upsample", "resample, spatial", axes="first"),
    _rows("pad", "resample, spatial", axes="first"),
    _rows("pixel_shuffle", "resample, apart", "input upscale_factor", axes="shuffle"),
    _rows("pixel_unshuffle", "resample", "input downscale_factor", axes="shuffle"),
    _rows("roll", "resample", "input shifts dims", axes="first"),
    _rows("flip", "resample", sizes="dims", axes="first"),
    _rows("channel_shuffle", "resample"),
    _rows("unfold", "resample, apart", "input dimension size step", axes="unknown"),
    _rows("fold", axes="unknown"),
    _rows("repeat", "resample, keeps largest", sizes="repeats", axes="unknown"),
    _rows("tile", "resample", sizes="dims", axes="unknown"),
    _rows("repeat_interleave", "resample", "input repeats dim"),
    _rows("index_select", "resample, select", "input dim index", axes="unknown"),
    _rows("gather", "resample, select", "input dim index", axes="unknown"),
    _rows("take_along_dim", "resample, select", "input indices dim", axes="unknown"),
    # parts
    _rows("chunk", "resample, slice", "input chunks dim", axes="parts"),
    _rows("split", "resample, slice", "input split_size_or_sections dim", axes="parts"),
    _rows("tensor_split", "resample, slice", axes="parts"),
    _rows("split_with_sizes", "apart", axes="parts"),
    _rows("narrow", "resample, slice", "input dim start length", axes="parts"),
    _rows("select", "resample, slice", "input dim index", axes="select"),
    _rows("getitem", "resample, slice", "input index", axes="slices"),
    _rows("unbind", "transparent, slice", axes="select"),
    # values as they are
    _rows("view reshape", "transparent, moves axes, regroups, keeps largest", sizes="shape", axes="view"),
    _rows("flatten", "transparent, moves axes, keeps largest", "input start_dim end_dim", axes="view"),
    _rows("unflatten", "transparent, moves axes, apart", "input dim sizes", axes="view"),
    _rows("ravel", "transparent", axes="view"),
    _rows("view_as", "transparent, same, like", axes="view"),
    _rows("reshape_as", "transparent, like", axes="view"),
    _rows("permute", "transparent, moves axes, keeps largest", sizes="dims", axes="permute"),
    _rows("transpose", "transparent, moves axes, keeps largest", "input dim0 dim1", axes="transpose"),
    _rows("t", "transparent, moves axes, keeps largest", axes="transpose"),
    _rows("adjoint", axes="transpose"),
    _rows("movedim", "transparent, moves axes", "input source destination", axes="movedim"),
    _rows("squeeze", "transparent, keeps largest", "input dim", axes="squeeze"),
    _rows("unsqueeze", "transparent, keeps largest", "input dim", axes="unsqueeze"),
    _rows("expand", "transparent, keeps largest", sizes="size", axes="expand"),
    _rows("expand_as", "transparent, like, keeps largest", axes="expand"),
    _rows("broadcast_to", "keeps largest", axes="expand"),
    _rows("clone contiguous", "transparent, same, pointwise, keeps largest"),
    _rows("alias", "transparent, same, pointwise"),
    _rows("to", "transparent, same, pointwise, like, keeps largest"),
    _rows("type_as", "transparent, same, like"),
    _rows("float", "transparent, same, pointwise"),
    _rows("half bfloat16 double", "transparent, pointwise"),
    _rows("type", "transparent, pointwise, keeps largest"),
    _rows("long int", "keeps largest"),
    _rows("detach", "transparent, pointwise, keeps largest"),
    _rows("requires_grad", "transparent, same"),
    _rows("complex real view_as_real view_as_complex", "transparent"),
    _rows("dropout", "transparent, pointwise, inplace flag", "input p training inplace"),
    _rows("dropout1d dropout2d dropout3d", "transparent, spatial, inplace flag"),
    _rows("feature_dropout", "transparent, pointwise"),
    _rows("alpha_dropout", "transparent, pointwise, inplace flag"),
    _rows("feature_alpha_dropout", "transparent, inplace flag"),
    # not the operands' values
    _rows("new_zeros new_ones new_empty new_full zeros_like ones_like empty_like full_like new_tensor", "shape only"),
    _rows("new", "shape only"),
    _rows("rand_like randn_like randint_like bernoulli multinomial", "shape only, random"),
    _rows("rand randn uniform random", "random"),
    _rows("argmax argmin", "shape only", axes="reduce"),
    _rows("argsort", "shape only"),
    # one value in, one value out
    _rows("relu", "rectifier, pointwise, inplace flag"),
    _rows("relu6", "squash, rectifier, pointwise, inplace flag"),
    _rows("leaky_relu elu celu selu silu mish hardswish threshold rrelu", "rectifier, pointwise, inplace flag"),
    _rows("gelu", "rectifier, pointwise"),
    _rows("prelu", "rectifier", "input weight", axes="first"),
    _rows("softplus", "squash, rectifier, pointwise"),
    _rows("sigmoid tanh", "squash, pointwise"),
    _rows("hardsigmoid hardtanh", "squash, pointwise, inplace flag"),
    _rows("logsigmoid", "squash"),
    _rows("clamp", "squash", "input min max"),
    _rows("softmax", "squash", "input dim", axes="first"),
    _rows("log_softmax cumsum", axes="first"),
    _rows("masked_fill", "masking", "input mask value"),
    # several tensors
    _rows("add", "arithmetic, broadcasting, sum", "input other", merge="add"),
    _rows("sub", "arithmetic, broadcasting, sum", "input other", merge="add"),
    _rows("rsub", "arithmetic, broadcasting, sum", "input other", merge="add"),
    _rows("mul", "arithmetic, broadcasting, scale", "input other", merge="mul"),
    _rows("div", "arithmetic, broadcasting, scale", "input other"),
    _rows("maximum minimum", "arithmetic, broadcasting", merge="max"),
    _rows("fmax", merge="max"),
    _rows("addcmul lerp logaddexp", "broadcasting", merge="add"),
    _rows("addcdiv", merge="add"),
    _rows("where pow", "broadcasting"),
    _rows("eq ne lt gt le ge remainder", "comparing"),
    _rows("cat", "join", "tensors dim", merge="cat", axes="cat"),
    _rows("stack", "join", "tensors dim", merge="cat", axes="stack"),
    _rows("hstack vstack dstack", "join", merge="cat"),
    _rows("index_add scatter_add", "aggregating", "input dim index source", merge="add"),
    _rows("scatter scatter_reduce index_reduce", "aggregating"),
    _rows("setitem", "assigning", "input index value"),
    _rows("copy", "assigning"),
    # over axes
    _rows("mean amax", "reduction, averaging", _REDUCE, axes="reduce"),
    _rows("sum amin prod std var logsumexp", "reduction", _REDUCE, axes="reduce"),
    _rows("max", "broadcasting, reduction", _REDUCE, merge="max", axes="reduce"),
    _rows("min", "reduction", _REDUCE, axes="reduce"),
    _rows("norm median any all vector_norm linalg_vector_norm nansum nanmean mode", axes="reduce"),
    _rows("mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy nll_loss kl_div binary_cross_entropy "
          "binary_cross_entropy_with_logits", "loss"),
)  # fmt: skip

OPERATIONS: Mapping[str, Operation] = {row.name: row for rows in _TABLE for row in rows}
NO_OPERATION = Operation("", frozenset())
# Sizes may be given one by one or as one tuple: x.view(2, 3) and x.view((2, 3)).
SIZED: Mapping[str, str] = {row.name: row.sizes for row in OPERATIONS.values() if row.sizes}
MERGES: Mapping[str, Merge] = {row.name: row.merge for row in OPERATIONS.values() if row.merge is not None}


def operation(name: str) -> Operation:
    """The row of an operation, an empty one where it has none: elementwise, without a role."""
    return OPERATIONS.get(name, NO_OPERATION)


@cache
def names(*roles: Role) -> frozenset[str]:
    """The operations that have any of the roles."""
    return frozenset(row.name for row in OPERATIONS.values() if row.roles.intersection(roles))


def has_role(node: Node, *roles: Role) -> bool:
    """Has the node's operation any of the roles?"""
    return node.op in names(*roles)


_RENAMED = {
    "truediv": "div", "rtruediv": "div", "itruediv": "div", "idiv": "div", "true_divide": "div", "divide": "div",
    "radd": "add", "iadd": "add", "subtract": "sub", "isub": "sub", "multiply": "mul", "rmul": "mul", "imul": "mul",
    "rmatmul": "matmul", "imatmul": "matmul", "concat": "cat", "concatenate": "cat", "swapaxes": "transpose",
    "swapdims": "transpose", "moveaxis": "movedim", "T": "t", "mT": "transpose", "H": "t", "data": "detach",
    "_max_pool1d": "max_pool1d", "_max_pool2d": "max_pool2d", "_max_pool3d": "max_pool3d",
    **{f"{kind}{n}d_with_indices": f"{kind}{n}d" for n in (1, 2, 3) for kind in ("max_pool", "adaptive_max_pool")},
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
    own = operation(op).arguments or _signature(function)
    pairs = {own[i] if i < len(own) else f"arg{i}": value for i, value in enumerate(args)}
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
    flagged = kwargs.get("inplace") is True or (
        name in names("inplace flag") and any(value is True for value in args[1:])
    )
    return flagged or name in _INPLACE_ACTIVATIONS
