"""OpenCLIP: pairs of towers for pictures and texts, small, built by its own classes.

The truth was written from the classes before the finder was asked.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Inputs, Network, Rule, image, tokens

_TEXT: dict[str, Any] = {"context_length": 12, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2}
_VIT: dict[str, Any] = {"layers": 3, "width": 16, "head_width": 8, "patch_size": 8, "image_size": 32}
_RESNET: dict[str, Any] = {"layers": (1, 2, 1, 1), "width": 8, "head_width": 16, "image_size": 64}


def _pair(side: int) -> Callable[[], Inputs]:
    return lambda: {"image": image(2, 3, side, side)()[0], "text": tokens(2, 12)}


def _network(name: str, kind: str, side: int = 32, **settings: Any) -> Network:
    def build() -> nn.Module:
        import_torchvision("open_clip")
        made: nn.Module = getattr(import_module("open_clip"), kind)(embed_dim=16, **settings)
        return made

    return Network(name, build, _pair(side))


NETWORKS = (
    _network("CLIP ViT", "CLIP", vision_cfg=_VIT, text_cfg=_TEXT),
    _network("CLIP ViT scaled layers", "CLIP", vision_cfg={**_VIT, "ls_init_value": 0.1}, text_cfg=_TEXT),
    _network("CLIP ViT average", "CLIP", vision_cfg={**_VIT, "pool_type": "avg", "final_ln_after_pool": True},
             text_cfg=_TEXT),
    _network("CLIP ViT pooled by attention", "CLIP", vision_cfg={**_VIT, "attentional_pool": True,
             "attn_pooler_queries": 4, "attn_pooler_heads": 2}, text_cfg=_TEXT),
    _network("CLIP ResNet", "CLIP", 64, vision_cfg=_RESNET, text_cfg=_TEXT, quick_gelu=True),
    _network("CLIP custom text", "CustomTextCLIP", vision_cfg=_VIT, text_cfg={**_TEXT, "no_causal_mask": True,
             "pool_type": "last"}),
    _network("CLIP ConvNeXt", "CLIP", 64, vision_cfg={"timm_model_name": "convnext_atto", "timm_pool": "avg",
             "timm_proj": "linear", "image_size": 64}, text_cfg=_TEXT),
    _network("CLIP timm ViT", "CLIP", 224, vision_cfg={"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "",
             "timm_proj": "linear", "image_size": 224}, text_cfg=_TEXT),
    _network("CoCa", "CoCa", vision_cfg={**_VIT, "attentional_pool": True, "attn_pooler_heads": 2,
             "output_tokens": True}, text_cfg={**_TEXT, "embed_cls": True, "output_tokens": True},
             multimodal_cfg={**_TEXT, "attn_pooler_heads": 2}),
)  # fmt: skip
_ADDS: dict[str, Rule] = {
    "ResidualAttentionBlock": 2, "CustomResidualAttentionBlock": 2, "Bottleneck": 1, "ConvNeXtBlock": 1, "Block": 2,
}  # fmt: skip
FAMILY = Family(
    "open_clip_torch",
    NETWORKS,
    {"": _ADDS},
    rightly={"CoCa": "its decoder's projection is made by `torch.empty`, and its constructor calls nothing to fill it"},
)
