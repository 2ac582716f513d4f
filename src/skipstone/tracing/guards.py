"""Torch's own modules that check their input in Python before any operation runs, and what they would have returned."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn

from skipstone.tracing.blame import pass_on, raise_if_ours
from skipstone.tracing.torch_internals import NORMS, parameters_of

Shape = tuple[int, ...]
Shapes = Shape | None | tuple["Shapes", ...]
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError)


class Assume(Protocol):
    """Tensors of the given shapes, noted as the result of an operation that was refused; None where it cannot be."""

    def __call__(
        self, op: str, tensors: Sequence[torch.Tensor], shapes: Shapes, met: tuple[Shape, ...], error: Exception
    ) -> object: ...


def guard(module: nn.Module, assume: Assume) -> None:
    """Let a refusal by the module's own forward end in an assumed result instead of ending the pass."""
    rule = next((rule for kind, rule in _RULES.items() if isinstance(module, kind)), None)
    own = type(module).__module__.startswith("torch.nn.")
    if rule is None or not own or "forward" in module.__dict__:
        return
    forward = module.forward

    def guarded(*args: object, **kwargs: object) -> object:
        try:
            return pass_on(forward, args, kwargs)
        except REFUSALS as error:
            raise_if_ours(error)
            given = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
            known = rule(module, given) if given else None
            if known is None:
                raise
            op, weight, shapes = known
            tensors = [*given, *([weight] if weight is not None else [])]
            met = (tuple(given[0].shape), *([tuple(weight.shape)] if weight is not None else []))
            return assume(op, tensors, shapes, met, error)

    module.__dict__["forward"] = guarded


Rule = Callable[[nn.Module, Sequence[torch.Tensor]], tuple[str, torch.Tensor | None, Shapes] | None]


def _recurrent(module: nn.Module, given: Sequence[torch.Tensor]) -> tuple[str, torch.Tensor | None, Shapes] | None:
    """(..., C) -> (..., D * H) and the states (D * layers, N, H)."""
    assert isinstance(module, nn.RNNBase)
    source, directions = tuple(given[0].shape), 1 + module.bidirectional
    if len(source) not in (2, 3):
        return None
    width = module.proj_size or module.hidden_size
    batch = source[:-2] if len(source) == 2 else (source[0 if module.batch_first else 1],)
    state = (directions * module.num_layers, *batch, width)
    cell = (directions * module.num_layers, *batch, module.hidden_size)
    output = (*source[:-1], directions * width)
    weight = parameters_of(module)["weight_ih_l0"]
    return module.mode.lower(), weight, (output, (state, cell) if module.mode == "LSTM" else state)


def _cell(module: nn.Module, given: Sequence[torch.Tensor]) -> tuple[str, torch.Tensor | None, Shapes] | None:
    """(N, C) -> (N, H), twice for an LSTM cell."""
    assert isinstance(module, nn.RNNCellBase)
    state = (*given[0].shape[:-1], module.hidden_size)
    op = {nn.LSTMCell: "lstm_cell", nn.GRUCell: "gru_cell"}.get(type(module), "rnn_tanh_cell")
    return op, module.weight_ih, (state, state) if op == "lstm_cell" else state


def _attention(module: nn.Module, given: Sequence[torch.Tensor]) -> tuple[str, torch.Tensor | None, Shapes] | None:
    """The query's places, the module's width; no weights."""
    assert isinstance(module, nn.MultiheadAttention)
    output = (*given[0].shape[:-1], module.embed_dim)
    return "multi_head_attention_forward", module.in_proj_weight, (output, None)


def _norm(module: nn.Module, given: Sequence[torch.Tensor]) -> tuple[str, torch.Tensor | None, Shapes] | None:
    assert isinstance(module, NORMS)
    op = "instance_norm" if "Instance" in type(module).__name__ else "batch_norm"
    return op, module.weight if module.affine else None, tuple(given[0].shape)


def _transformer(module: nn.Module, given: Sequence[torch.Tensor]) -> tuple[str, torch.Tensor | None, Shapes] | None:
    assert isinstance(module, nn.Transformer)
    if len(given) < 2:
        return None
    return "transformer", None, (*given[1].shape[:-1], module.d_model)


_RULES: Mapping[type, Rule] = {
    nn.RNNBase: _recurrent,
    nn.RNNCellBase: _cell,
    nn.MultiheadAttention: _attention,
    **dict.fromkeys(NORMS, _norm),
    nn.Transformer: _transformer,
}
