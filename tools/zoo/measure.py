"""What skipstone says of one network, beside what its classes say."""

import copy
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

import skipstone
from skipstone.core.errors import SkipstoneError
from skipstone.core.skip import Skip
from zoo.network import Family, Inputs, Network
from zoo.truth import call, truth

# The sizes tried on a sample, on each side of the network's own.
_AROUND = 4
# Parameters of a network that is tried at them on the meta device, where it would take minutes.
_LARGE = 20_000_000


@dataclass(frozen=True)
class Row:
    """A network's line of the page. `truth` is None where it is not known; empty texts stand for nothing to say."""

    name: str
    version: str
    inputs: str = ""
    truth: int | None = None
    counted: str = ""
    found: int = -1
    found_in_training: int = -1
    kinds: str = ""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: int = 0
    stopped: str = ""
    ablated: str = ""
    sizes: str = ""
    seconds: float = 0.0
    run_seconds: float = 0.0
    failure: str = ""

    def problems(self) -> list[str]:
        """What a correct answer about a correct network would not show, in words."""
        return [self.failure] if self.failure else [*self.misses(), *self.findings()]

    def findings(self) -> list[str]:
        return [f"error {text}" for text in self.errors] + [f"warning {text}" for text in self.warnings]

    def misses(self) -> list[str]:
        """Where it did not come to the answer that the classes, or a run, give."""
        said = []
        if self.truth is not None and self.found != self.truth:
            said.append(f"{self.found} found where the classes say {self.truth} ({self.counted})")
        if self.found_in_training != self.found:
            said.append(f"{self.found_in_training} found in training, {self.found} in evaluation")
        said += [f"record stopped: {self.stopped}"] if self.stopped else []
        said += [f"ablation: {self.ablated}"] if "!" in self.ablated else []
        said += [f"sizes: {self.sizes}"] if "!" in self.sizes else []
        return said

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Row":
        fields = json.loads(text)
        return cls(**{**fields, "errors": tuple(fields["errors"]), "warnings": tuple(fields["warnings"])})


def measure(family: Family, network: Network, *, sample: bool) -> Row:
    """Count, check in evaluation and in training; on a sample also take every skip out, and try the sizes around."""
    torch.manual_seed(0)
    model, inputs = network.build().eval(), network.inputs()
    known = truth(model, inputs, family.adds)
    began = time.process_time()
    report = skipstone.check(model, inputs)
    seconds = time.process_time() - began
    training = skipstone.trace(model, inputs, mode="train")
    texts = {
        severity: tuple(f"{f.code} {f.message}" for f in report.findings if f.severity == severity)
        for severity in ("error", "warning", "note")
    }
    return Row(
        name=family.full_name(network),
        version=version(family.package),
        inputs=input_text(inputs),
        truth=known[0] if known else None,
        counted=known[1] if known else "",
        found=num_block_skips(report.skips),
        found_in_training=num_block_skips(skipstone.find_skips(training)),
        kinds=kinds(report.skips),
        errors=texts["error"],
        warnings=texts["warning"],
        notes=len(texts["note"]),
        stopped=str(report.graph.stopped or training.stopped or ""),
        ablated=ablated(model, inputs, report.skips) if sample else "",
        sizes=sizes(model, inputs) if sample else "",
        seconds=round(seconds, 3),
        run_seconds=round(report.run_seconds, 3),
    )


def num_block_skips(skips: tuple[Skip, ...]) -> int:
    return sum(skip.is_block_skip for skip in skips)


def kinds(skips: tuple[Skip, ...]) -> str:
    """`12 identity add, 4 projection add`."""
    counted = Counter(f"{skip.kind} {skip.merge}" for skip in skips if skip.kind != "trivial")
    return ", ".join(f"{number} {kind}" for kind, number in counted.most_common())


def input_text(inputs: Inputs) -> str:
    """`2x3x224x224, t 2 int64`: shapes, with the dtype where it is not float32, and the keyword."""
    items = inputs.items() if isinstance(inputs, dict) else (("", value) for value in inputs)
    return ", ".join(f"{name} {_value_text(value)}".strip() for name, value in items)


def _value_text(value: Any) -> str:
    leaves, _ = tree_flatten(value)
    return " and ".join(_tensor_text(leaf) if isinstance(leaf, torch.Tensor) else repr(leaf) for leaf in leaves)


def _tensor_text(tensor: torch.Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return shape if tensor.dtype == torch.float32 else f"{shape} {str(tensor.dtype).removeprefix('torch.')}"


def ablated(model: nn.Module, inputs: Inputs, skips: tuple[Skip, ...]) -> str:
    """Take every skip out and look again; an exclamation mark where something is not as it should be.

    Where a reader of a concatenation can't do with fewer channels, zeros stand for what was joined on.
    """
    number = num_block_skips(skips)
    if not number:
        return ""
    how = ""
    try:
        plain = skipstone.ablate(model, "all", inputs, bridges=True)
    except skipstone.SurgeryError as refusal:
        how = f" by zeros: {str(refusal).splitlines()[0].partition(';')[0]}"
        try:
            plain = skipstone.ablate(model, "all", inputs, bridges=True, cat="zero")
        except skipstone.SurgeryError as second:
            return f"refused: {str(second).splitlines()[0]}"
    left = num_block_skips(skipstone.find_skips(plain, inputs))
    try:
        call(plain, inputs)
    except RuntimeError as error:
        return f"! does not run: {str(error).splitlines()[0]}"
    return f"! {left} of {number} left" if left else f"{number} of {number}{how}"


def sizes(model: nn.Module, inputs: Inputs) -> str:
    """Legal sizes around the network's own beside a pass at each; only where the one input is an image."""
    if isinstance(inputs, dict) or len(inputs) != 1 or inputs[0].dim() != 4:
        return ""
    batch, channels, height, width = inputs[0].shape
    if height != width:
        return ""
    asked = range(max(1, height - _AROUND), height + _AROUND + 1)
    report = skipstone.legal_sizes(model, (batch, channels, "h", "h"), h=asked, seconds=60)
    if sum(p.numel() for p in model.parameters()) > _LARGE:
        model = copy.deepcopy(model).to("meta")  # which refuses the same sizes
    ran = {side for side in report.checked if _runs(model, (torch.rand(batch, channels, side, side),))}
    said = report.legal | report.broadcast
    wrong = sorted(said ^ ran)
    return f"! differ at {wrong}" if wrong else f"{len(ran)} of {len(report.checked)} run"


def _runs(model: nn.Module, inputs: Inputs) -> bool:
    try:
        call(model, inputs)
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError):
        return False
    return True


def failed(family: Family, network: Network, words: str) -> Row:
    """The row of a network of which nothing is known but that measuring it came to no end."""
    return Row(name=family.full_name(network), version=version(family.package), failure=words)


def attempt(family: Family, network: Network, *, sample: bool) -> Row:
    """`measure`, with whatever the network, its package or skipstone raises as the row's failure."""
    try:
        return measure(family, network, sample=sample)
    except SkipstoneError as error:
        return failed(family, network, f"{type(error).__name__}: {str(error).splitlines()[0]}")
    except Exception as error:  # noqa: BLE001 - a public network may raise anything, and the others go on
        return failed(family, network, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
