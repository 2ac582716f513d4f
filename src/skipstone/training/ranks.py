"""The processes of one run that torchrun has started, and what they tell each other: one run, in parts.

Every process (rank) builds the same network from the same seed, takes its part of each batch, and holds the same
weights after each step. The first one alone reads and writes the run folder; the others are told.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from skipstone.core.errors import SkipstoneError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of its run; alone by default, and then nothing is sent.

    `rank` counts over all machines, `on_node` over the `num_on_node` processes of this one.
    """

    rank: int = 0
    world: int = 1
    on_node: int = 0
    num_on_node: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def part(self) -> tuple[int, int]:
        """(which, of how many): the part of each batch that is this process's."""
        return self.rank, self.world

    def device(self, asked: str) -> str:
        """The device that this process has to itself, of those of its machine."""
        gpu = torch.cuda.is_available() and (asked == "auto" or asked.startswith("cuda"))
        return f"cuda:{self.on_node}" if self.world > 1 and gpu else asked

    def sum(self, values: Tensor) -> Tensor:
        """The element-wise sum over all processes; `values` as they are where there is one."""
        if self.world > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in every one of them."""
        if self.world == 1:
            return make()
        box: list[Any] = [make() if self.first else None]
        distributed.broadcast_object_list(box)
        value: T = box[0]
        return value

    def align(self, model: nn.Module) -> None:
        """Give buffers the first process's values: a network may keep some that no other step makes equal."""
        if self.world > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


ALONE = Ranks()


def joined(devices: int) -> Ranks:
    """The processes that torchrun started this one with; `ALONE` where it did not.

    Raises:
        SkipstoneError: torchrun started another number of processes than the run has devices.
    """
    world = int(os.environ.get("WORLD_SIZE", "1")) if distributed.is_torchelastic_launched() else 1
    if world == 1:
        return ALONE
    if world != devices:
        raise SkipstoneError(
            f"torchrun started {world} processes, and the run has devices {devices}: give --devices {world}"
        )
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Ranks(distributed.get_rank(), world, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]))
