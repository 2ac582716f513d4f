"""What the tables are made of: a network, how it is built and called, and what one run of each of its classes adds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

# Arguments by position, or by keyword: tensors all of them, a time step too (a constant hides how it is used).
Inputs = tuple[Any, ...] | dict[str, Any]
# What one run of a class adds: of every instance, or read from the flag by which the class itself decides.
Rule = int | Callable[[Any], int]


@dataclass(frozen=True)
class Network:
    """A network by its name in its package, how to build it, and what to call it with."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Inputs]


@dataclass(frozen=True)
class Family:
    """The networks of one package.

    `adds` says for each Python module of the package (its last name, or `""` for any) what one run of its classes adds;
    a class that is not listed adds nothing. `differs` explains in writing each network whose count by classes is not
    what the finder says; one that is not explained fails the run.
    """

    package: str
    networks: tuple[Network, ...]
    adds: Mapping[str, Mapping[str, Rule]]
    differs: Mapping[str, str] = field(default_factory=dict)
    rightly: Mapping[str, str] = field(default_factory=dict)

    def full_name(self, network: Network) -> str:
        return f"{self.package}:{network.name}"


def flag(name: str) -> Callable[[Any], int]:
    """Adds once where the attribute is true."""
    return lambda module: int(bool(getattr(module, name)))


def given(name: str) -> Callable[[Any], int]:
    """Adds once where the attribute is there and not None."""
    return lambda module: int(getattr(module, name, None) is not None)


def each(name: str, times: int = 1) -> Callable[[Any], int]:
    """Adds `times` for each entry of the list of that name."""
    return lambda module: times * len(getattr(module, name))


def image(*shape: int) -> Callable[[], Inputs]:
    """One tensor of that shape, from a seed."""
    return lambda: (torch.rand(shape, generator=torch.Generator().manual_seed(0)),)


def tokens(*shape: int, below: int = 50) -> torch.Tensor:
    """Whole numbers from 1 up to `below`."""
    return torch.randint(1, below, shape, generator=torch.Generator().manual_seed(0))
