"""vit-pytorch: one network of each of its files that takes pictures, small."""

from importlib import import_module
from typing import Any

from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Network, Rule, each, image

_WIDE: dict[str, Any] = {"num_classes": 10, "dim": 16, "heads": 2, "mlp_dim": 32}
_VIT: dict[str, Any] = {**_WIDE, "image_size": 32, "patch_size": 8, "depth": 3}
_CLIP = {"image_size": 32, "depth": 3, "frames": 4, "frame_patch_size": 2, "image_patch_size": 8}
_PICTURE = image(2, 3, 32, 32)
_FOUR = {"s1_emb_dim": 8, "s2_emb_dim": 16, "s3_emb_dim": 16, "s1_heads": 1, "s2_heads": 2, "s3_heads": 2,
         "s1_depth": 1, "s2_depth": 2, "s3_depth": 1}  # fmt: skip
# File, class, settings, what it is called with.
NETWORKS: tuple[tuple[str, str, dict[str, Any], Any], ...] = (
    ("vit", "ViT", _VIT, _PICTURE),
    ("simple_vit", "SimpleViT", _VIT, _PICTURE),
    ("vit_1d", "ViT", {**_WIDE, "seq_len": 32, "patch_size": 8, "depth": 3}, image(2, 3, 32)),
    ("vit_3d", "ViT", {**_WIDE, **_CLIP}, image(2, 3, 4, 32, 32)),
    ("simple_vit_1d", "SimpleViT", {**_WIDE, "seq_len": 32, "patch_size": 8, "depth": 3}, image(2, 3, 32)),
    ("simple_vit_3d", "SimpleViT", {**_WIDE, **_CLIP},
     image(2, 3, 4, 32, 32)),
    ("simple_vit_with_qk_norm", "SimpleViT", _VIT, _PICTURE),
    ("simple_vit_with_register_tokens", "SimpleViT", _VIT, _PICTURE),
    ("simple_vit_with_patch_dropout", "SimpleViT", _VIT, _PICTURE),
    ("simple_vit_with_fft", "SimpleViT", {**_VIT, "freq_patch_size": 8}, _PICTURE),
    ("simple_vit_with_value_residual", "SimpleViT", _VIT, _PICTURE),
    ("simple_uvit", "SimpleUViT", {**_VIT, "depth": 4}, _PICTURE),
    ("simple_flash_attn_vit", "SimpleViT", _VIT, _PICTURE),
    ("vit_with_patch_dropout", "ViT", _VIT, _PICTURE),
    ("vit_with_patch_merger", "ViT", {**_VIT, "patch_merge_layer": 2, "patch_merge_num_tokens": 4}, _PICTURE),
    ("vit_for_small_dataset", "ViT", _VIT, _PICTURE),
    ("deepvit", "DeepViT", _VIT, _PICTURE),
    ("parallel_vit", "ViT", {**_VIT, "num_parallel_branches": 2}, _PICTURE),
    ("learnable_memory_vit", "ViT", _VIT, _PICTURE),
    ("look_vit", "LookViT", {"dim": 16, "image_size": 32, "num_classes": 10, "depth": 2, "patch_size": 16, "heads": 2,
                             "highres_patch_size": 8, "dim_head": 8}, _PICTURE),
    ("cait", "CaiT", {**_VIT, "cls_depth": 2}, _PICTURE),
    ("cct", "CCT", {"img_size": (32, 32), "embedding_dim": 16, "n_conv_layers": 1, "kernel_size": 3, "stride": 2,
                    "padding": 1, "num_layers": 3, "num_heads": 2, "mlp_ratio": 2, "num_classes": 10,
                    "positional_embedding": "learnable"}, _PICTURE),
    ("cross_vit", "CrossViT", {"image_size": 32, "num_classes": 10, "sm_dim": 16, "lg_dim": 24, "sm_patch_size": 8,
                               "lg_patch_size": 16, "depth": 2, "sm_enc_depth": 1, "sm_enc_heads": 2,
                               "lg_enc_depth": 2, "lg_enc_heads": 2, "cross_attn_depth": 2, "cross_attn_heads": 2},
     _PICTURE),
    ("crossformer", "CrossFormer", {"dim": (32, 32, 32, 64), "depth": (1, 1, 2, 1), "num_classes": 10,
                                    "global_window_size": (4, 2, 2, 1), "local_window_size": 1}, image(2, 3, 64, 64)),
    ("cvt", "CvT", {"num_classes": 10, **_FOUR}, _PICTURE),
    ("levit", "LeViT", {"image_size": 64, "num_classes": 10, "stages": 2, "dim": (16, 24), "depth": 2, "heads": (2, 3),
                        "mlp_mult": 2}, image(2, 3, 64, 64)),
    ("max_vit", "MaxViT", {"num_classes": 10, "dim_conv_stem": 8, "dim": 8, "dim_head": 4, "depth": (1, 1),
                           "window_size": 4}, image(2, 3, 64, 64)),
    ("max_vit_with_registers", "MaxViT", {"num_classes": 10, "dim_conv_stem": 8, "dim": 8, "dim_head": 4,
                                          "depth": (1, 1), "window_size": 4}, image(2, 3, 64, 64)),
    ("mobile_vit", "MobileViT", {"image_size": (64, 64), "dims": [16, 20, 24], "num_classes": 10,
                                 "channels": [8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 32]}, image(2, 3, 64, 64)),
    ("nest", "NesT", {"image_size": 32, "patch_size": 4, "dim": 16, "heads": 2, "num_hierarchies": 2,
                      "block_repeats": (1, 2), "num_classes": 10}, _PICTURE),
    ("pit", "PiT", {"image_size": 32, "patch_size": 8, "dim": 16, "num_classes": 10, "depth": (2, 1), "heads": 2,
                    "mlp_dim": 32}, _PICTURE),
    ("rvt", "RvT", _VIT, _PICTURE),
    ("scalable_vit", "ScalableViT", {"num_classes": 10, "dim": 8, "heads": (1, 2), "depth": (1, 2),
                                     "ssa_dim_key": 4, "reduction_factor": (2, 1), "window_size": (4, 4),
                                     "iwsa_dim_key": 4}, _PICTURE),
    ("sep_vit", "SepViT", {"num_classes": 10, "dim": 8, "dim_head": 4, "heads": (1, 2), "depth": (1, 2)},
     image(2, 3, 56, 56)),
    ("twins_svt", "TwinsSVT", {"num_classes": 10, "s1_emb_dim": 8, "s2_emb_dim": 16, "s3_emb_dim": 16,
                               "s4_emb_dim": 16, "s3_depth": 2, "s4_depth": 1}, image(2, 3, 224, 224)),
    ("regionvit", "RegionViT", {"dim": (8, 16, 16, 32), "depth": (1, 1, 2, 1), "window_size": 7, "num_classes": 10},
     image(2, 3, 224, 224)),
    ("vivit", "ViViT", {**_WIDE, "image_size": 32, "image_patch_size": 8, "frames": 4, "frame_patch_size": 2,
                      "spatial_depth": 2, "temporal_depth": 1, "use_flash_attn": False},
     image(2, 3, 4, 32, 32)),
    ("xcit", "XCiT", {**_VIT, "cls_depth": 2}, _PICTURE),
    ("jumbo_vit", "JumboViT", {**_VIT, "num_jumbo_cls": 1, "jumbo_cls_k": 2, "jumbo_ff_mult": 2}, _PICTURE),
    ("looped_vit", "LoopedViT", {**_WIDE, "image_size": 32, "patch_size": 8, "pre_loop_depth": 1, "post_loop_depth": 1,
                                  "num_looped_blocks": 1, "loop_depth": 2}, _PICTURE),
    ("vit_with_decorr", "ViT", _VIT, _PICTURE),
    ("vit_detpool", "ViTDetPool", _VIT, _PICTURE),
)  # fmt: skip


def _network(file: str, kind: str, settings: dict[str, Any], inputs: Any) -> Network:
    def build() -> nn.Module:
        import_torchvision("vit-pytorch")
        model: nn.Module = getattr(import_module(f"vit_pytorch.{file}"), kind)(**settings)
        return model

    return Network(file, build, inputs)


# Nearly all of them keep pairs of attention and feed-forward in a list and add in the loop over it.
_PAIRS: Rule = each("layers", 2)
_ADDS: dict[str, dict[str, Rule]] = {
    "": {"Transformer": _PAIRS, "Residual": 1},
    # The values of the first layer are mixed into those of every later one (2410.17897).
    "simple_vit_with_value_residual": {"Transformer": lambda t: 3 * len(t.layers) - 1},
    "simple_uvit": {"Transformer": lambda t: 2 * t.depth + t.depth // 2},
    # Besides, the means of its two streams are added in the end.
    "look_vit": {"LookViT": lambda network: 5 * len(network.layers) + 1},
    "levit": {"Transformer": lambda t: len(t.layers) * (1 + int(t.attn_residual))},
    "twins_svt": {"Residual": 1, "Transformer": 0},
    "cct": {"TransformerEncoderLayer": 2},
    "cross_vit": {"Transformer": _PAIRS, "CrossTransformer": each("layers", 2)},
    "crossformer": {"Transformer": each("layers", 4)},
    "max_vit": {"Residual": 1, "MBConvResidual": 1},
    "max_vit_with_registers": {"MBConvResidual": 1, "MaxViT": each("layers", 4)},
    "mobile_vit": {"Transformer": _PAIRS, "MobileViTBlock": 1, "MV2Block": lambda block: int(block.use_res_connect)},
    "scalable_vit": {"Transformer": each("layers", 4), "PEG": 1},
    "sep_vit": {"Transformer": _PAIRS, "PEG": 1},
    "regionvit": {"R2LTransformer": each("layers", 3), "PEG": 1},
    "xcit": {"Transformer": _PAIRS, "XCATransformer": each("layers", 3)},
    "jumbo_vit": {"JumboViT": lambda v: 2 * len(v.layers) + len(v.layers)},
}
FAMILY = Family(
    "vit-pytorch",
    tuple(_network(*line) for line in NETWORKS),
    _ADDS,
    differs={
        "cross_vit": "the last sum is of the two streams' answers, one of them a linear layer behind what the other "
        "was made from: a projection by its form, an ensemble by the authors' words",
        "regionvit": "the first layer joins regions and places, two embeddings of one picture: a projection by its "
        "form, tokens put side by side by the authors' words",
    },
    rightly={
        "jumbo_vit": "the last layer's feed-forward of the jumbo tokens runs for nothing",
    },
)
