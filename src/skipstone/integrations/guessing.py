"""An example input for a network that nobody gave one for: what its first layers take, at a size it runs at."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.integrations.keras_guessing import keras_forms
from skipstone.sizes import legal_sizes
from skipstone.tracing import keras, parse_input_text, trace

_SIZES = (32, 224, 28, 64, 299, 128, 256)
"""Sides tried in turn: small images, ImageNet's, MNIST's, then what is left of the usual ones."""
_LENGTH = 16  # of a sequence
_SMALLEST = 16  # a size from the engine below this is where a fault hides, not where a network is used
_SECONDS = 5.0
_MAX_LAYERS = 4  # different first layers that are looked at: modules need not be made in the order they run in

# Layer -> its input without the batch, with S for each free side.
_FORMS: dict[type[nn.Module], Callable[[Any], str]] = {
    nn.Conv1d: lambda m: f"{m.in_channels or 3}xS",
    nn.Conv2d: lambda m: f"{m.in_channels or 3}xSxS",
    nn.Conv3d: lambda m: f"{m.in_channels or 3}xSxSxS",
    nn.Linear: lambda m: f"{m.in_features}",
    nn.Embedding: lambda m: f"{_LENGTH}:int64",
    nn.RNNBase: lambda m: f"{_LENGTH}x{m.input_size}" if m.batch_first else f"{_LENGTH},2,{m.input_size}",
    nn.TransformerEncoderLayer: lambda m: f"{_LENGTH}x{m.self_attn.embed_dim}",
    nn.MultiheadAttention: lambda m: f"{_LENGTH}x{m.embed_dim}",
}


def guess_input(model: nn.Module) -> str | None:
    """An input as `--input` takes it, `3x32x32`; None where no layer says what it takes.

    Of the inputs that the first layers take, the one with which least fails. A network in which something fails at
    every usual size is asked for its legal sizes; where those are none, or tiny, the first size stands, and its check
    says what is wrong.
    """
    forms = list(dict.fromkeys(_forms(model)))[:_MAX_LAYERS]
    if not forms:
        return None
    failures, best = _least_bad(model, _texts(forms))
    free = [form for form in forms if "S" in form]
    if failures and free:
        return _legal(model, free[0]) or best
    return best


def _least_bad(model: nn.Module, texts: Iterator[str]) -> tuple[int, str]:
    """The input with which least fails, the first of several, and how much that is."""
    best: tuple[int, str] | None = None
    for text in texts:
        failures = _num_failures(model, text)
        if best is None or failures < best[0]:
            best = failures, text
        if not failures:
            break
    assert best is not None
    return best


def _forms(model: nn.Module) -> Iterator[str]:
    if keras.is_layer(model):
        yield from keras_forms(model)
    for module in model.modules():
        for kind, form in _FORMS.items():
            if isinstance(module, kind):
                yield form(module)


def _texts(forms: list[str]) -> Iterator[str]:
    """Each form at the first size, then those with a free side at the others."""
    for size in _SIZES:
        for form in forms:
            if "S" in form or size == _SIZES[0]:
                yield form.replace("S", str(size))


def _num_failures(model: nn.Module, text: str) -> int:
    try:
        graph = trace(model, (parse_input_text(text),))
    except SkipstoneError:
        return 1000
    return len(graph.failures) + len(graph.refusals) + 1000 * (graph.stopped is not None)


def _legal(model: nn.Module, form: str) -> str | None:
    shape = (2, *("s" if part == "S" else int(part) for part in form.split("x")))
    try:
        axis = legal_sizes(model, shape, s=range(1, 513), seconds=_SECONDS)["s"]
    except SkipstoneError:
        return None
    near = [size for size in axis.nearest(_SIZES[0]) if size >= _SMALLEST]
    return form.replace("S", str(near[0])) if near else None
