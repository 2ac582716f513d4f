"""Loops that are watched on the CPU and on a GPU alike."""

from torch import Tensor, amp, nn, optim
from torch.nn import functional as F

from skipstone.flow import watch
from skipstone.runs.flow import FlowRecord


def with_a_step_left_out(model: nn.Module, x: Tensor, y: Tensor) -> list[FlowRecord]:
    """What is recorded of two steps under a scaler, the first of which it leaves out for its infinite loss."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = amp.GradScaler(x.device.type, init_scale=1024.0)
    with watch(model, optimizer, scaler=scaler) as flow:
        for factor in (float("inf"), 1.0):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y) * factor).backward()
            scaler.step(optimizer)
            scaler.update()
    return flow.records
