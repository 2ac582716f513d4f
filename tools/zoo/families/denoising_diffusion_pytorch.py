"""denoising-diffusion-pytorch: the networks of its diffusions, small; the time step is a tensor.

The truth was written from the classes before the finder was asked.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Inputs, Network, Rule, image, tokens

_SMALL: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "attn_dim_head": 4, "attn_heads": 2}
_KARRAS: dict[str, Any] = {
    "image_size": 16, "dim": 8, "dim_max": 16, "channels": 3, "num_downsamples": 1, "num_blocks_per_stage": 1,
    "attn_res": (8,), "fourier_dim": 8, "attn_dim_head": 4,
}  # fmt: skip


def _network(name: str, file: str, kind: str, settings: dict[str, Any], inputs: Callable[[], Inputs]) -> Network:
    def build() -> nn.Module:
        import_torchvision("denoising_diffusion_pytorch")
        model: nn.Module = getattr(import_module(f"denoising_diffusion_pytorch.{file}"), kind)(**settings)
        return model

    return Network(name, build, inputs)


def _timed(*shape: int, **more: torch.Tensor) -> Callable[[], Inputs]:
    """A noisy tensor and the time step of each sample, whole or (in `more`) a fraction."""
    return lambda: {"x": image(*shape)()[0], "time": torch.tensor([3, 7]), **more}


_FRACTIONS = torch.tensor([0.3, 0.7])
_PICTURE = _timed(2, 3, 16, 16)
NETWORKS = (
    _network("Unet", "denoising_diffusion_pytorch", "Unet", _SMALL, _PICTURE),
    _network("Unet three sizes", "denoising_diffusion_pytorch", "Unet", {**_SMALL, "dim_mults": (1, 2, 4)}, _PICTURE),
    _network("Unet learned times", "denoising_diffusion_pytorch", "Unet",
             {**_SMALL, "learned_sinusoidal_cond": True, "learned_sinusoidal_dim": 8}, _PICTURE),
    _network("Unet self-conditioned", "denoising_diffusion_pytorch", "Unet", {**_SMALL, "self_condition": True},
             _timed(2, 3, 16, 16, x_self_cond=torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)))),
    _network("Unet1D", "denoising_diffusion_pytorch_1d", "Unet1D", _SMALL, _timed(2, 3, 16)),
    _network("guided Unet", "guided_diffusion", "Unet", {"dim": 8, "dim_mults": (1, 2)}, _PICTURE),
    _network("classified Unet", "classifier_free_guidance", "Unet", {**_SMALL, "num_classes": 5, "cond_drop_prob": 0.0},
             _timed(2, 3, 16, 16, classes=tokens(2, below=5))),
    _network("UViT", "simple_diffusion", "UViT", {**_SMALL, "vit_depth": 2},
             _timed(2, 3, 16, 16, time=_FRACTIONS)),
    _network("KarrasUnet", "karras_unet", "KarrasUnet", _KARRAS, _timed(2, 3, 16, 16, time=_FRACTIONS)),
    _network("KarrasUnet classes", "karras_unet", "KarrasUnet", {**_KARRAS, "num_classes": 5},
             _timed(2, 3, 16, 16, time=_FRACTIONS, class_labels=tokens(2, below=5))),
    _network("MPImageTransformer", "karras_unet", "MPImageTransformer",
             {"dim": 8, "depth": 2, "dim_head": 4, "heads": 2}, image(2, 8, 8, 8)),
    _network("KarrasUnet1D", "karras_unet_1d", "KarrasUnet1D",
             {**{k: v for k, v in _KARRAS.items() if k != "image_size"}, "seq_len": 16},
             _timed(2, 3, 16, time=_FRACTIONS)),
)  # fmt: skip
_U_NET: Rule = lambda net: 2 * len(net.ups) + 1  # noqa: E731 - a row of the table; two joins a level, one at the end
_KARRAS_ADDS: dict[str, Rule] = {
    "Encoder": 1, "Decoder": 1, "Attention": 1, "MPFeedForward": 1,
    **dict.fromkeys(("KarrasUnet", "KarrasUnet1D"), lambda net: sum(int(up.needs_skip) for up in net.ups)),
}  # fmt: skip
_ADDS: dict[str, dict[str, Rule]] = {
    # Attention is added by the U-Net itself: at each level of both ways, and in the middle.
    "denoising_diffusion_pytorch": {
        "ResnetBlock": 1, "Unet": lambda net: len(net.downs) + 1 + 3 * len(net.ups) + 1,
    },
    "denoising_diffusion_pytorch_1d": {"ResnetBlock": 1, "Residual": 1, "Unet1D": _U_NET},
    "guided_diffusion": {"ResnetBlock": 1, "Residual": 1, "Unet": _U_NET},
    "classifier_free_guidance": {"ResnetBlock": 1, "Residual": 1, "Unet": _U_NET},
    "simple_diffusion": {
        "ResnetBlock": 1, "LinearAttention": 1, "Transformer": lambda t: 2 * len(t.layers), "UViT": _U_NET,
    },
    "karras_unet": _KARRAS_ADDS,
    "karras_unet_1d": _KARRAS_ADDS,
}  # fmt: skip
FAMILY = Family("denoising_diffusion_pytorch", NETWORKS, _ADDS)
