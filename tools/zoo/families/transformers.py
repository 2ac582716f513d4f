"""Hugging Face's transformers, as small as their configurations allow."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Inputs, Network, flag, image, tokens

_SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
_TEXT = {**_SMALL, "vocab_size": 99, "max_position_embeddings": 64}
_DECODER = {**_TEXT, "num_key_value_heads": 2}
_VISION = {**_SMALL, "image_size": 64, "patch_size": 16}
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4, "vocab_size": 99}
_BART = {
    "d_model": 32,
    "vocab_size": 99,
    "max_position_embeddings": 64,
    **{f"{side}_{what}": size for side in ("encoder", "decoder")
       for what, size in (("layers", 3), ("attention_heads", 4), ("ffn_dim", 64))},
}  # fmt: skip
_IMAGE = {"pixel_values": image(2, 3, 64, 64)()[0]}
_PHOTO = {"pixel_values": image(2, 3, 224, 224)()[0]}
_SPEECH = {"input_values": image(2, 4000)()[0]}
# Class, its config's settings, the inputs by keyword.
HUGGING_FACE: dict[str, tuple[dict[str, Any], Callable[[], Inputs]]] = {
    "ResNetModel": ({}, lambda: _PHOTO),
    "ConvNextModel": ({}, lambda: _PHOTO),
    "ConvNextV2Model": ({}, lambda: _PHOTO),
    "RegNetModel": ({}, lambda: _PHOTO),
    "MobileNetV2Model": ({}, lambda: _PHOTO),
    "ViTModel": (_VISION, lambda: _IMAGE),
    "DeiTModel": (_VISION, lambda: _IMAGE),
    "BeitModel": (_VISION, lambda: _IMAGE),
    "Dinov2Model": (_VISION, lambda: _IMAGE),
    "SwinModel": ({}, lambda: _PHOTO),
    "SegformerModel": ({}, lambda: _PHOTO),
    "SegformerForSemanticSegmentation": ({}, lambda: _PHOTO),
    "BertModel": (_TEXT, lambda: {"input_ids": tokens(2, 12)}),
    "RobertaModel": (_TEXT, lambda: {"input_ids": tokens(2, 12)}),
    "DistilBertModel": ({"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99},
                        lambda: {"input_ids": tokens(2, 12)}),
    "ElectraModel": ({**_TEXT, "embedding_size": 32}, lambda: {"input_ids": tokens(2, 12)}),
    "AlbertModel": ({**_TEXT, "embedding_size": 16}, lambda: {"input_ids": tokens(2, 12)}),
    "GPT2Model": ({"n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 99}, lambda: {"input_ids": tokens(2, 12)}),
    "GPTNeoXModel": (_TEXT, lambda: {"input_ids": tokens(2, 12)}),
    "LlamaModel": (_DECODER, lambda: {"input_ids": tokens(2, 12)}),
    "MistralModel": (_DECODER, lambda: {"input_ids": tokens(2, 12)}),
    "Qwen2Model": (_DECODER, lambda: {"input_ids": tokens(2, 12)}),
    "T5Model": (_T5, lambda: {"input_ids": tokens(2, 12), "decoder_input_ids": tokens(2, 12)}),
    "BartModel": (_BART, lambda: {"input_ids": tokens(2, 12), "decoder_input_ids": tokens(2, 12)}),
    "CLIPModel": ({"text_config": _TEXT, "vision_config": _VISION, "projection_dim": 16},
                  lambda: {"input_ids": tokens(2, 12), **_IMAGE}),
    "WhisperModel": ({**_BART, "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20,
                      "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
                     lambda: {"input_features": image(2, 8, 40)()[0], "decoder_input_ids": tokens(2, 12)}),
    "Wav2Vec2Model": (_SMALL, lambda: _SPEECH),
}  # fmt: skip


def _network(name: str) -> Network:
    settings, inputs = HUGGING_FACE[name]

    def build() -> nn.Module:
        import_torchvision("transformers")  # which transformers imports where it is installed
        kind = getattr(import_module("transformers"), name)
        # Where nothing is set the network is of its usual size: its shapes are enough.
        with torch.device("cpu" if settings else "meta"):
            model: nn.Module = kind(kind.config_class(**settings))
        return model

    return Network(name, build, inputs)


# These names are unique in the library.
_ADDS = {
    "ResNetBottleNeckLayer": 1, "ResNetBasicLayer": 1, "ConvNextLayer": 1, "ConvNextV2Layer": 1, "RegNetXLayer": 1,
    "RegNetYLayer": 1, "MobileNetV2InvertedResidual": flag("use_residual"), "ViTLayer": 2, "DeiTLayer": 2,
    "BeitLayer": 2, "Dinov2Layer": 2, "SwinLayer": 2, "SegformerLayer": 2, "BertLayer": 2, "RobertaLayer": 2,
    "TransformerBlock": 2, "ElectraLayer": 2, "AlbertLayer": 2, "GPT2Block": 2, "GPTNeoXLayer": 1,
    "LlamaDecoderLayer": 2, "MistralDecoderLayer": 2, "Qwen2DecoderLayer": 2, "T5LayerSelfAttention": 1,
    "T5LayerCrossAttention": 1, "T5LayerFF": 1, "BartEncoderLayer": 2, "BartDecoderLayer": 3, "CLIPEncoderLayer": 2,
    "WhisperEncoderLayer": 2, "WhisperDecoderLayer": 3, "Wav2Vec2EncoderLayer": 2, "Wav2Vec2Encoder": 1,
}  # fmt: skip

_DIFFERS = {
    "Wav2Vec2Model": "in training each layer is left out by chance (LayerDrop), and a chance is taken as met",
}
FAMILY = Family("transformers", tuple(map(_network, HUGGING_FACE)), {"": _ADDS}, _DIFFERS)
