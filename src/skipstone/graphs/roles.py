"""What part an operation plays in a network: layer, norm, pool, transparent, merge. One table each."""

from collections.abc import Callable, Mapping

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge
from skipstone.graphs.operations import words

# Values pass through unchanged, or scaled by chance (dropout).
TRANSPARENT = words(
    """dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout contiguous view reshape
    flatten unflatten permute transpose squeeze unsqueeze clone to type_as float half bfloat16 double type detach alias
    expand expand_as movedim t requires_grad view_as unbind t ravel"""
)
NORM = words("batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize")
_POOLS = tuple(f"{kind}_pool{n}d" for kind in ("avg", "max", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3))
_AVERAGES = frozenset(f"avg_pool{n}d" for n in (1, 2, 3))
POOL = frozenset((*_POOLS, "fractional_max_pool2d", "max_unpool2d"))
# Other sizes of the same values.
RESAMPLE = POOL | words(
    """interpolate upsample pad getitem narrow select pixel_shuffle pixel_unshuffle roll chunk split tensor_split
    index_select unfold repeat tile repeat_interleave flip channel_shuffle"""
)
SLICES = words("chunk split tensor_split unbind getitem narrow select")
CONV = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
LAYER = CONV | words(
    """convolution linear bilinear lstm gru rnn_tanh rnn_relu lstm_cell gru_cell multi_head_attention_forward embedding
    embedding_bag _native_multi_head_attention"""
)
PRODUCT = words("matmul bmm mm addmm baddbmm einsum tensordot")
# Results that carry shapes or indices of a tensor, not its values.
SHAPE_ONLY = words(
    """new_zeros new_ones new_empty new_full zeros_like ones_like empty_like full_like rand_like randn_like new_tensor
    argmax argmin argsort bernoulli"""
)
SQUASH = words("sigmoid hardsigmoid softmax tanh hardtanh relu6 logsigmoid softplus clamp")
RECTIFIER = words("relu relu6 leaky_relu prelu elu celu selu gelu silu mish hardswish softplus threshold rrelu")

MERGES: Mapping[str, Merge] = {
    **dict.fromkeys(("add", "sub", "rsub", "addcmul", "lerp", "logaddexp", "addcdiv"), "add"),
    "mul": "mul",
    **dict.fromkeys(("cat", "hstack", "vstack", "dstack", "stack"), "cat"),
    **dict.fromkeys(("maximum", "minimum", "max", "fmax"), "max"),
}


def merge_of(graph: Graph, node: Node) -> Merge | None:
    """How a node merges its operands, None where it does not; a `stack` that is summed at once is an addition."""
    if node.kind != "op":
        return None
    if node.op == "stack":
        users = [graph[i].op for i in graph.users[node.index]]
        if users and all(op in ("sum", "mean", "max", "amax") for op in users):
            return "add" if users[0] == "sum" else "mean" if users[0] == "mean" else "max"
    return MERGES.get(node.op)


def is_layer(graph: Graph, node: Node, active: Callable[[int], bool]) -> bool:
    """Does the node mix values with weights, or across places as a token mixer does?

    A layer is a convolution, linear, recurrent, attention or embedding with a weight, a product with a weight, or an
    average pooling that keeps the size (PoolFormer's token mixer, 2111.11418, section 3).
    """
    if node.op in LAYER:
        return any(not active(i) for i in node.inputs)
    if node.op in PRODUCT:
        return any(not active(i) and graph[i].kind != "constant" for i in node.inputs)
    if node.op in _AVERAGES:
        return node.shape[2:] == graph[node.inputs[0]].shape[2:] and node.shape[2:] != ()
    return False
