"""MONAI: each kind of its networks, in two or three dimensions, small."""

from importlib import import_module
from typing import Any

import torch
from torch import nn

from zoo.network import Family, Inputs, Network, Rule, each, flag, image, tokens

_2D: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
_3D: dict[str, Any] = {**_2D, "spatial_dims": 3}
_LEVELS = {"channels": (4, 8, 16, 32), "strides": (2, 2, 2)}
_FEATURES = {"features": (8, 8, 16, 32, 64, 8)}
_DIFFUSION = {
    "channels": (8, 16), "num_res_blocks": 1, "attention_levels": (False, True), "norm_num_groups": 4,
    "num_head_channels": 8,
}  # fmt: skip
_CODER = {"channels": (8, 16), "num_res_blocks": 1, "attention_levels": (False, True), "norm_num_groups": 4}
_KERNELS = {"kernel_size": (3, 3, 3, 3), "strides": (1, 2, 2, 2), "upsample_kernel_size": (2, 2, 2)}
_PATCHES = {"hidden_size": 24, "mlp_dim": 48, "num_heads": 4}
_FLAT = image(2, 1, 32, 32)
_FLAT64 = image(2, 1, 64, 64)
_DEEP = image(1, 1, 32, 32, 32)


def _timed(*shape: int, **more: torch.Tensor) -> Inputs:
    return {"x": image(*shape)()[0], "timesteps": torch.tensor([3, 7]), **more}


# A name, the class, its settings, what it is called with.
NETWORKS: tuple[tuple[str, str, dict[str, Any], Any], ...] = (
    ("UNet", "UNet", {**_2D, **_LEVELS}, _FLAT),
    ("UNet 3d", "UNet", {**_3D, **_LEVELS}, _DEEP),
    ("UNet residual", "UNet", {**_2D, **_LEVELS, "num_res_units": 2}, _FLAT),
    ("UNet residual 3d", "UNet", {**_3D, **_LEVELS, "num_res_units": 1}, _DEEP),
    ("AttentionUnet", "AttentionUnet", {**_2D, **_LEVELS}, _FLAT),
    ("AttentionUnet 3d", "AttentionUnet", {**_3D, **_LEVELS}, _DEEP),
    ("BasicUNet", "BasicUNet", {**_2D, **_FEATURES}, _FLAT),
    ("BasicUNet 3d", "BasicUNet", {**_3D, **_FEATURES}, _DEEP),
    ("BasicUNetPlusPlus", "BasicUNetPlusPlus", {**_2D, **_FEATURES}, _FLAT),
    ("DynUNet", "DynUNet", {**_2D, **_KERNELS, "filters": (8, 8, 16, 16)}, _FLAT),
    ("DynUNet residual 3d", "DynUNet", {**_3D, **_KERNELS, "filters": (8, 8, 16, 16), "res_block": True}, _DEEP),
    ("SegResNet", "SegResNet", {**_2D, "init_filters": 8}, _FLAT),
    ("SegResNet 3d", "SegResNet", {**_3D, "init_filters": 8, "upsample_mode": "deconv"}, _DEEP),
    ("SegResNetDS", "SegResNetDS", {**_3D, "init_filters": 8, "blocks_down": (1, 2, 2)}, _DEEP),
    ("VNet", "VNet", {**_2D, "dropout_dim": 2}, _FLAT64),
    ("UNETR", "UNETR", {"in_channels": 1, "out_channels": 2, "img_size": 32, "feature_size": 4, **_PATCHES}, _DEEP),
    ("UNETR 2d", "UNETR", {**_2D, "img_size": 32, "feature_size": 4, **_PATCHES}, _FLAT),
    ("SwinUNETR", "SwinUNETR", {**_3D, "feature_size": 12}, image(1, 1, 64, 64, 64)),
    ("SwinUNETR 2d", "SwinUNETR", {**_2D, "feature_size": 12}, _FLAT64),
    ("ViT", "ViT", {"in_channels": 1, "img_size": 32, "patch_size": 16, "num_layers": 3, **_PATCHES}, _DEEP),
    ("ViT classifier", "ViT", {"in_channels": 1, "img_size": (32, 32), "patch_size": 8, "num_layers": 3,
                               "spatial_dims": 2,
                              "classification": True, **_PATCHES}, _FLAT),
    ("ViTAutoEnc", "ViTAutoEnc", {"in_channels": 1, "img_size": (32, 32), "patch_size": (4, 4), "num_layers": 3,
                                  "spatial_dims": 2, **_PATCHES}, _FLAT),
    ("MaskedAutoEncoderViT", "MaskedAutoEncoderViT",
     {"in_channels": 1, "img_size": 32, "patch_size": 8, "spatial_dims": 2, "num_layers": 3, "decoder_num_layers": 2,
      "decoder_hidden_size": 24, "decoder_num_heads": 4, "decoder_mlp_dim": 48, **_PATCHES}, _FLAT),
    ("AutoEncoder", "AutoEncoder", {**_2D, "channels": (4, 8, 16), "strides": (2, 2, 2)}, _FLAT),
    ("AutoEncoder residual", "AutoEncoder", {**_2D, "channels": (4, 8), "strides": (2, 2), "num_res_units": 2,
                                             "inter_channels": (16, 16)}, _FLAT),
    ("VarAutoEncoder", "VarAutoEncoder", {"spatial_dims": 2, "in_shape": (1, 32, 32), "out_channels": 1,
                                          "latent_size": 4, "channels": (4, 8), "strides": (2, 2)}, _FLAT),
    ("DenseNet121", "DenseNet121", _2D, _FLAT64),
    ("DenseNet121 3d", "DenseNet121", _3D, image(2, 1, 32, 32, 32)),
    ("SEResNet50", "SEResNet50", {"spatial_dims": 2, "in_channels": 1, "num_classes": 2}, _FLAT64),
    ("SEResNext50", "SEResNext50", {"spatial_dims": 2, "in_channels": 1, "num_classes": 2}, _FLAT64),
    ("ResNet18", "resnet18", {"spatial_dims": 2, "n_input_channels": 1}, _FLAT64),
    ("ResNet10 3d", "resnet10", {"spatial_dims": 3, "n_input_channels": 1}, image(2, 1, 32, 32, 32)),
    ("ResNet18 option A", "resnet18", {"spatial_dims": 3, "n_input_channels": 1, "shortcut_type": "A"},
     image(2, 1, 32, 32, 32)),
    ("ResNet50 3d", "resnet50", {"spatial_dims": 3, "n_input_channels": 1}, image(2, 1, 32, 32, 32)),
    ("EfficientNetBN", "EfficientNetBN", {"model_name": "efficientnet-b0", "spatial_dims": 2, "in_channels": 1,
                                          "pretrained": False}, _FLAT64),
    ("HighResNet", "HighResNet", {**_3D, "norm_type": "instance"}, image(1, 1, 16, 16, 16)),
    ("AHNet", "AHNet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "psp_block_num": 0},
     image(1, 1, 64, 64, 64)),
    ("DiffusionModelUNet", "DiffusionModelUNet", {**_2D, **_DIFFUSION}, lambda: _timed(2, 1, 16, 16)),
    ("DiffusionModelUNet 3d", "DiffusionModelUNet", {**_3D, **_DIFFUSION}, lambda: _timed(2, 1, 8, 8, 8)),
    ("DiffusionModelUNet context", "DiffusionModelUNet",
     {**_2D, **_DIFFUSION, "with_conditioning": True, "cross_attention_dim": 6},
     lambda: _timed(2, 1, 16, 16, context=image(2, 3, 6)()[0])),
    ("DiffusionModelUNet classes", "DiffusionModelUNet", {**_2D, **_DIFFUSION, "num_class_embeds": 5},
     lambda: _timed(2, 1, 16, 16, class_labels=tokens(2, below=5))),
    ("AutoencoderKL", "AutoencoderKL", {**_2D, **_CODER, "latent_channels": 3}, _FLAT),
    ("AutoencoderKL 3d", "AutoencoderKL", {**_3D, **_CODER, "latent_channels": 3}, image(1, 1, 16, 16, 16)),
    ("VQVAE", "VQVAE", {**_2D, "channels": (8, 8), "num_res_channels": 8, "num_res_layers": 2, "num_embeddings": 16,
                        "embedding_dim": 8, "downsample_parameters": ((2, 4, 1, 1),) * 2,
                        "upsample_parameters": ((2, 4, 1, 1, 0),) * 2}, _FLAT),
    ("SPADENet", "SPADENet", {**_2D, "label_nc": 3, "input_shape": (16, 16), "channels": [16, 8],
                              "z_dim": 4, "is_vae": False},
     lambda: (image(2, 3, 16, 16)()[0], image(2, 1, 16, 16)()[0])),
    ("SPADEDiffusionModelUNet", "SPADEDiffusionModelUNet", {**_2D, **_DIFFUSION, "label_nc": 3},
     lambda: _timed(2, 1, 16, 16, seg=image(2, 3, 16, 16)()[0])),
    ("RegUNet", "RegUNet", {**_2D, "num_channel_initial": 4, "depth": 3, "concat_skip": True}, _FLAT),
    ("RegUNet add", "RegUNet", {**_3D, "num_channel_initial": 4, "depth": 2}, image(1, 1, 16, 16, 16)),
    ("MedNeXt", "MedNeXt", {**_2D, "init_filters": 8}, _FLAT64),
    ("MedNeXt residual 3d", "MedNeXt", {**_3D, "init_filters": 4, "use_residual_connection": True,
                                        "blocks_down": (1, 1, 1, 1), "blocks_up": (1, 1, 1, 1)}, _DEEP),
    ("VoxelMorphUNet", "VoxelMorphUNet", {"spatial_dims": 2, "in_channels": 2, "unet_out_channels": 8,
                                          "channels": (8, 8, 16, 16, 16, 8), "final_conv_channels": (8, 8)},
     image(2, 2, 32, 32)),
    ("Restormer", "restormer:Restormer", {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "dim": 8,
                                          "num_blocks": (1, 1, 1), "heads": (1, 2, 2),
                                          "num_refinement_blocks": 1}, _FLAT),
    ("DecoderOnlyTransformer", "DecoderOnlyTransformer",
     {"num_tokens": 50, "max_seq_len": 16, "attn_layers_dim": 16, "attn_layers_depth": 3, "attn_layers_heads": 4},
     lambda: (tokens(2, 12),)),
    ("DecoderOnlyTransformer context", "DecoderOnlyTransformer",
     {"num_tokens": 50, "max_seq_len": 16, "attn_layers_dim": 16, "attn_layers_depth": 3, "attn_layers_heads": 4,
      "with_cross_attention": True}, lambda: {"x": tokens(2, 12), "context": image(2, 5, 16)()[0]}),
    ("Discriminator", "Discriminator", {"in_shape": (1, 32, 32), "channels": (4, 8), "strides": (2, 2)}, _FLAT),
    ("Generator", "Generator", {"latent_shape": (8,), "start_shape": (4, 4, 4), "channels": (8, 4),
                                "strides": (2, 2)}, image(2, 8)),
    ("PatchDiscriminator", "PatchDiscriminator", {"spatial_dims": 2, "in_channels": 1, "channels": 8}, _FLAT64),
    ("FullyConnectedNet", "FullyConnectedNet", {"in_channels": 8, "out_channels": 2, "hidden_channels": (8, 8)},
     image(2, 8)),
)  # fmt: skip


def _network(name: str, kind: str, settings: dict[str, Any], inputs: Any) -> Network:
    module, _, kind = kind.rpartition(":")

    def build() -> nn.Module:
        nets = import_module(f"monai.networks.nets.{module}" if module else "monai.networks.nets")
        model: nn.Module = getattr(nets, kind)(**settings)
        return model

    return Network(name, build, inputs)


def _mbconv(block: Any) -> int:
    return int(block.id_skip and block.stride == 1 and block.in_channels == block.out_channels)


def _residual_unit(unit: Any) -> int:
    """With one convolution on either side, none of them pointwise, there is nothing that the shortcut goes past."""
    is_identity = isinstance(unit.residual, nn.Identity)
    return int(len(unit.conv) > 1 or is_identity or all(size == 1 for size in unit.residual.kernel_size))


_ADDS: dict[str, Rule] = {
    "ResidualUnit": _residual_unit,
    "SkipConnection": 1,
    "AttentionLayer": 1,
    "UpCat": 1,
    # what its nodes are joined to is itself joined, at six of the ten
    "BasicUNetPlusPlus": 6,
    "UnetResBlock": 1,
    "UnetUpBlock": 1,
    "UnetrUpBlock": 1,
    "ResBlock": 1,
    "SegResNet": each("up_layers"),
    "SegResBlock": 1,
    "SegResNetDS": each("up_layers"),
    "InputTransition": 1,
    "DownTransition": 1,
    "UpTransition": 2,
    "TransformerBlock": lambda block: 2 + int(block.with_cross_attention),
    "SwinTransformerBlock": 2,
    "_DenseLayer": 1,
    "SEResNetBottleneck": 1,
    "SEResNeXtBottleneck": 1,
    "ResNetBlock": 1,
    "ResNetBottleneck": 1,
    "MBConvBlock": _mbconv,
    "HighResBlock": 1,
    # three sums on the way up, two with maps of the stem, and the pyramid joined to what it is made from
    "AHNet": 5,
    "Bottleneck3x3x1": 1,
    "Pseudo3DLayer": 2,
    "DiffusionUNetResnetBlock": 1,
    "DiffusionUNetTransformerBlock": 3,
    "SpatialTransformer": 1,
    "SpatialAttentionBlock": 1,
    "UpBlock": each("resnets"),
    "AttnUpBlock": each("resnets"),
    "CrossAttnUpBlock": each("resnets"),
    "AEKLResBlock": 1,
    "VQVAEResidualUnit": 1,
    "SPADENetResBlock": 1,
    "SPADEDiffResBlock": 1,
    "SPADEUpBlock": each("resnets"),
    "SPADEAttnUpBlock": each("resnets"),
    "RegistrationResidualConvBlock": 1,
    "RegUNet": each("decode_convs"),
    "MedNeXt": each("up_blocks"),
    "MedNeXtBlock": flag("do_res"),
    "MedNeXtDownBlock": flag("resample_do_res"),
    "MedNeXtUpBlock": flag("resample_do_res"),
    "MDTATransformerBlock": 2,
    "Restormer": lambda network: len(network.decoder_levels),
}
_NESTED = (
    "a node of the second level or deeper is joined to maps that went through two convolutions or more at each node to "
    "its left: units of more than three layers, which docs/design/skips.md calls parallel"
)
FAMILY = Family(
    "monai",
    tuple(_network(*line) for line in NETWORKS),
    # A sequence that happens to have the name of VNet's class.
    {"": _ADDS, "ahnet": {**_ADDS, "UpTransition": 0}},
    differs={"BasicUNetPlusPlus": f"{_NESTED}; two of these come up from below once the others are out, as bridges"},
    rightly={
        "BasicUNetPlusPlus": "without deep supervision three of its last layers run for nothing",
        "VarAutoEncoder": "run: in evaluation torch's backward pass of the reconstruction raises, what exp saved "
        "is overwritten; in training it does not, and nothing is said",
        "ResNet18 option A": "the shortcut is `out.data`, so that no gradient passes it",
    },
)
