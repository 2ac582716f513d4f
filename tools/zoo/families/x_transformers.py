"""x-transformers: its layers with each of its residuals, in its wrappers for tokens and for pictures.

The truth was written from the classes before the finder was asked. Every layer of `AttentionLayers` ends in a call of
its residual's own module, so that the runs of those are the skips; what a layer adds besides is told by its flags.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from zoo.network import Family, Inputs, Network, image, tokens

_LAYERS: dict[str, Any] = {"dim": 16, "depth": 3, "heads": 2, "attn_dim_head": 8}
# Name, the class of its layers, their settings.
OF_TOKENS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("encoder", "Encoder", {}),
    ("decoder", "Decoder", {}),
    ("rotary", "Decoder", {"rotary_pos_emb": True}),
    ("alibi", "Decoder", {"alibi_pos_bias": True, "alibi_num_heads": 2}),
    ("relative", "Encoder", {"rel_pos_bias": True}),
    ("rms norm", "Decoder", {"use_rmsnorm": True}),
    ("post norm", "Encoder", {"pre_norm": False}),
    ("sandwich norm", "Encoder", {"sandwich_norm": True}),
    ("gated feed-forward", "Decoder", {"ff_glu": True, "ff_swish": True}),
    ("scaled residual", "Encoder", {"scale_residual": True}),
    ("layer scale", "Encoder", {"use_layerscale": True}),
    ("macaron", "Encoder", {"macaron": True}),
    ("sandwich order", "Encoder", {"sandwich_coef": 2}),
    ("residual scores", "Encoder", {"residual_attn": True}),
    ("orthogonal update", "Encoder", {"orthog_residual": True}),
    ("hyper-connections", "Encoder", {"num_residual_streams": 3}),
    ("value residual", "Decoder", {"add_value_residual": True}),
    ("U-Net", "Encoder", {"depth": 4, "unet_skips": True}),
    ("shifted tokens", "Decoder", {"shift_tokens": 1}),
    ("talking heads", "Encoder", {"attn_pre_talking_heads": True}),
    ("gated values", "Encoder", {"attn_gate_values": True}),
    ("normed queries", "Encoder", {"attn_qk_norm": True}),
    ("one head of keys", "Decoder", {"attn_one_kv_head": True}),
)


def _layers(kind: str, settings: dict[str, Any]) -> nn.Module:
    layers: nn.Module = getattr(import_module("x_transformers"), kind)(**{**_LAYERS, **settings})
    return layers


def _wrapped(wrapper: str, layers: dict[str, Any] | None = None, **settings: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        own = dict(settings)
        if layers is not None:
            own["attn_layers"] = _layers("Encoder", layers)
        model: nn.Module = getattr(import_module("x_transformers"), wrapper)(**own)
        return model

    return build


def _of_tokens(name: str, kind: str, settings: dict[str, Any]) -> Network:
    def build() -> nn.Module:
        wrapper = import_module("x_transformers").TransformerWrapper
        model: nn.Module = wrapper(num_tokens=50, max_seq_len=32, attn_layers=_layers(kind, settings))
        return model

    return Network(name, build, lambda: (tokens(2, 12),))


def _translated() -> Inputs:
    return {"src": tokens(2, 12), "tgt": tokens(2, 9)}


_XTRANSFORMER = {f"{side}_{name}": value for side in ("enc", "dec") for name, value in
                 {"num_tokens": 50, "depth": 2, "heads": 2, "max_seq_len": 32, "attn_dim_head": 8}.items()}  # fmt: skip
NETWORKS = (
    *(_of_tokens(*row) for row in OF_TOKENS),
    Network("pictures", _wrapped("ViTransformerWrapper", {}, image_size=32, patch_size=8, num_classes=10),
            image(2, 3, 32, 32)),
    Network("pictures, registers", _wrapped("ViTransformerWrapper", {}, image_size=32, patch_size=8, num_classes=10,
                                            num_register_tokens=2), image(2, 3, 32, 32)),
    Network("continuous", _wrapped("ContinuousTransformerWrapper", {}, dim_in=6, dim_out=5, max_seq_len=32),
            image(2, 12, 6)),
    Network("memory tokens", _wrapped("TransformerWrapper", {}, num_tokens=50, max_seq_len=32, num_memory_tokens=3),
            lambda: (tokens(2, 12),)),
    Network("XTransformer", _wrapped("XTransformer", dim=16, **_XTRANSFORMER), _translated),
)  # fmt: skip


def _value_residuals(layers: Any) -> int:
    """The first attention's values are mixed into those of every later one (2410.17897)."""
    attentions = sum(kind == "a" for kind in layers.layer_types)
    return attentions - 1 if layers.add_value_residual else 0


_ADDS = {
    "Residual": 1, "OrthogonalResidualUpdate": 1, "HyperConnection": 1, "ConcatCombine": 1,
    "Encoder": _value_residuals, "Decoder": _value_residuals,
}  # fmt: skip
FAMILY = Family("x-transformers", NETWORKS, {"": _ADDS})
