"""How many skips a network has by its own classes.

The network is run once, in evaluation, under torch's own hooks, which count how often each module runs; each run of a
class adds what its package's table says. Nothing of skipstone takes part in it.
"""

from collections import Counter
from collections.abc import Mapping

import torch
from torch import nn
from torch.utils._pytree import tree_map

from zoo.network import Inputs, Rule


def truth(model: nn.Module, inputs: Inputs, adds: Mapping[str, Mapping[str, Rule]]) -> tuple[int, str] | None:
    """(Number of skips, how it was counted), None where the table does not list the network's own Python module."""
    if "" not in adds and _home(type(model)) not in adds:
        return None
    counted: Counter[tuple[str, int]] = Counter()
    for module, times in runs(model, inputs).items():
        rule = _rule(type(module), adds)
        number = rule if isinstance(rule, int) else rule(module)
        if number:
            counted[type(module).__name__, number] += times
    words = [f"{times} {name}" + (f" x {number}" if number > 1 else "") for (name, number), times in counted.items()]
    total = sum(number * times for (_, number), times in counted.items())
    return total, " + ".join(words) or "none of its classes adds"


def runs(model: nn.Module, inputs: Inputs) -> Counter[nn.Module]:
    """How often each module runs in one forward pass."""
    counted: Counter[nn.Module] = Counter()

    def count(module: nn.Module, args: object) -> None:
        counted[module] += 1

    handles = [module.register_forward_pre_hook(count) for module in model.modules()]
    try:
        call(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return counted


def call(model: nn.Module, inputs: Inputs) -> object:
    """The network's answer, without a graph; on the meta device where its weights are."""
    meta = any(p.device.type == "meta" for p in model.parameters())
    if meta:
        inputs = tree_map(lambda t: t.to("meta") if isinstance(t, torch.Tensor) else t, inputs)
    with torch.no_grad():
        return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def _home(kind: type) -> str:
    return kind.__module__.rpartition(".")[2]


def _rule(kind: type, adds: Mapping[str, Mapping[str, Rule]]) -> Rule:
    """By the class's own name: what a class inherits is not guessed."""
    return {**adds.get("", {}), **adds.get(_home(kind), {})}.get(kind.__name__, 0)
