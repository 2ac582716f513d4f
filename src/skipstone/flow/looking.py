"""One look at a network of which only its input is known: a batch and a loss are chosen, and said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.checks import check
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.execution.inputs import InputsError, real_inputs
from skipstone.flow.advice import Trial, try_skips
from skipstone.flow.measure import MakeOptimizer, flow_of
from skipstone.runs.flow import FlowRecord
from skipstone.tracing import trace
from skipstone.tracing.example import Example, parse_example
from skipstone.tracing.nests import tensors_in

_REFUSED = "the network does not run on this input: {}"
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True, slots=True)
class Look:
    """A record, what it was measured on in words, and the skips that were tried where that was asked for."""

    record: FlowRecord
    measured_on: str
    trial: Trial | None = None

    def __str__(self) -> str:
        text = f"{self.measured_on}\n\n{self.record}"
        return text if self.trial is None else f"{text}\n{self.trial}"


def look(
    model: nn.Module,
    example: object,
    *,
    labels: Tensor | None = None,
    optimizer: MakeOptimizer | None = None,
    skips: bool = True,
    advise: bool = False,
    seed: int = 0,
) -> Look:
    """Gradient flow of a network on a batch like `example`: given tensors as they are, normal numbers for shapes.

    The loss is cross-entropy where the first output is (N, classes) floats, against `labels` (N,) if given, else
    against labels drawn at random; for other outputs the mean squared distance from standard-normal numbers. With
    `advise`, skips are tried where the gradient vanishes or explodes: one more forward and backward pass.

    Raises:
        SkipstoneError: inputs that cannot be made up, an output without floats, labels that do not fit.
    """
    parsed = parse_example(example)
    graph = trace(model, parsed)
    if graph.stopped is not None or graph.failures:
        otherwise = graph.stopped or f"{graph.failures[0].op} fails"
        raise SkipstoneError(_REFUSED.format(_finding(model, parsed) or otherwise))
    try:
        args, kwargs = real_inputs(parsed, graph, model, seed=seed)
    except InputsError as error:
        raise SkipstoneError(str(error)) from error
    drawn = any(tensor.is_meta for tensor in tensors_in((parsed.args, dict(parsed.kwargs))))
    said: list[str] = []

    def loss(output: Any) -> Tensor:
        # Of a seed of its own: with that of the input the target would be the input itself.
        return _loss(output, labels, torch.Generator().manual_seed(seed + 1), said)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout and stochastic depth draw from it
        try:
            record = flow_of(model, (args, kwargs), loss, optimizer=optimizer, skips=skips)
        except SkipstoneError:
            raise
        except Exception as error:  # backward passes fail too, where the record alone shows nothing
            if (why := _finding(model, parsed)) is None:
                raise
            raise SkipstoneError(_REFUSED.format(why)) from error
        wanted = advise and any(verdict.kind in ("vanishing", "exploding") for verdict in record.verdicts)
        trial = try_skips(model, (args, kwargs), loss, record) if wanted else None
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors_in((args, kwargs)))
    words = f"{'standard-normal input' if drawn else 'input'} {shapes}; {said[0]}; loss {record.loss:.4g}"
    return Look(record, words, trial)


def _finding(model: nn.Module, example: Example) -> str | None:
    """The first error that a check finds, in its words."""
    errors = check(model, example, repairs=False, sizes=False).errors
    return f"{errors[0]}; skipstone check shows more" if errors else None


def step_of(name: str, lr: float) -> MakeOptimizer:
    """Makes the optimizer of a name, torch's defaults apart from the rate.

    Raises:
        UnknownNameError: no such optimizer.
        SkipstoneError: the rate is not above 0.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    if not lr > 0:
        raise SkipstoneError(f"lr is {lr:g}, expected a number above 0")

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return OPTIMIZERS[name](parameters, lr=lr)

    return make


def _loss(output: Any, labels: Tensor | None, random: torch.Generator, said: list[str]) -> Tensor:
    """Chooses the loss and adds its words to `said`."""
    floats = [tensor for tensor in tensors_in(output) if tensor.is_floating_point() and tensor.requires_grad]
    if not floats:
        raise SkipstoneError("the network returns no floating-point tensor that depends on a trainable parameter")
    first = floats[0]
    if first.ndim == 0:
        said.append("the network's own loss")
        return first
    if first.ndim == 2 and first.shape[1] > 1:
        if labels is None:
            said.append("cross-entropy against random labels")
            labels = torch.randint(first.shape[1], first.shape[:1], generator=random)
        else:
            said.append("cross-entropy against the labels")
            if labels.shape != first.shape[:1] or int(labels.max()) >= first.shape[1]:
                raise SkipstoneError(
                    f"labels {tuple(labels.shape)} up to {int(labels.max())} do not fit outputs {tuple(first.shape)}"
                )
        return F.cross_entropy(first.float(), labels.to(first.device))
    if labels is not None:
        raise SkipstoneError(f"labels are given, but the output is {tuple(first.shape)}, expected (N, classes)")
    said.append("mean squared distance from standard-normal numbers")
    target = torch.randn(first.shape, generator=random).to(first.device)
    return F.mse_loss(first.float(), target)
