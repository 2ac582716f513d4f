"""asteroid: its networks that take sources of sound apart, small, on a short mixture.

The truth was written from the classes before the finder was asked.
"""

from importlib import import_module
from typing import Any

from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Network, Rule, image

_FILTERS: dict[str, Any] = {"n_src": 2, "n_filters": 16, "kernel_size": 16, "stride": 8}
_TCN: dict[str, Any] = {**_FILTERS, "n_blocks": 3, "n_repeats": 2, "bn_chan": 8, "hid_chan": 16, "skip_chan": 8}
_CHUNKS: dict[str, Any] = {**_FILTERS, "bn_chan": 8, "chunk_size": 10, "hop_size": 5, "n_repeats": 2}
_SOUND = image(2, 1, 400)
# Name, class, settings.
ROWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ConvTasNet", "ConvTasNet", _TCN),
    ("ConvTasNet without skips", "ConvTasNet", {**_TCN, "skip_chan": 0}),
    ("ConvTasNet causal", "ConvTasNet", {**_TCN, "causal": True, "norm_type": "cLN"}),
    ("DPRNNTasNet", "DPRNNTasNet", {**_CHUNKS, "hid_size": 6}),
    ("DPRNNTasNet joined", "DPRNNTasNet", {**_CHUNKS, "hid_size": 6, "use_mulcat": True}),
    ("DPTNet", "DPTNet", {**_FILTERS, "ff_hid": 6, "chunk_size": 10, "hop_size": 5, "n_repeats": 2, "n_heads": 2}),
    ("SuDORMRFNet", "SuDORMRFNet", {**_FILTERS, "bn_chan": 8, "num_blocks": 2, "upsampling_depth": 3}),
    ("SuDORMRFImprovedNet", "SuDORMRFImprovedNet", {**_FILTERS, "bn_chan": 8, "num_blocks": 2, "upsampling_depth": 3}),
    ("LSTMTasNet", "LSTMTasNet", {**_FILTERS, "rnn_type": "LSTM", "hid_size": 6, "n_layers": 2, "dropout": 0.0}),
    ("DeMask", "DeMask", {"hidden_dims": (16,), "kernel_size": 32, "stride": 16, "n_filters": 32, "sample_rate": 8000}),
    (
        "DCUNet",
        "DCUNet",
        {
            "architecture": "mini",
            "stft_n_filters": 64,
            "stft_kernel_size": 64,
            "stft_stride": 16,
            "fix_length_mode": "pad",
        },
    ),
)


def _network(name: str, kind: str, settings: dict[str, Any]) -> Network:
    def build() -> nn.Module:
        import_torchvision("asteroid")
        model: nn.Module = getattr(import_module("asteroid.models"), kind)(**settings)
        return model

    return Network(name, build, _SOUND)


def _tcn(net: Any) -> int:
    """One for each block, and the sum of what the blocks hand out besides, which begins with the first's."""
    return 2 * len(net.TCN) - 1 if net.skip_chan else len(net.TCN)


def _levels(block: Any) -> int:
    """Each level is added to the one above it, and the block's input to all."""
    return int(block.depth)


_LEVELS: Rule = _levels
_ADDS: dict[str, Rule] = {
    "TDConvNet": _tcn, "DPRNNBlock": 2, "MulCatRNN": 1, "ImprovedTransformedLayer": 2,
    "UBlock": _LEVELS, "UConvBlock": _LEVELS,
    "DCUMaskNet": lambda net: len(net.decoders),
}  # fmt: skip
_LAST = "what the last block adds to the stream is not read where the answer is made of the skips' sum"
FAMILY = Family(
    "asteroid",
    tuple(_network(*row) for row in ROWS),
    {"": _ADDS},
    rightly={"ConvTasNet": _LAST, "ConvTasNet causal": _LAST},
)
