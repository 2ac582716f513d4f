"""A step's forward and backward as a CUDA graph: recorded once, replayed at every step.

Small networks keep a GPU waiting: a step of ResNet-20 is some hundreds of kernels, each done before Python has asked
for the next. A replay asks for all of them at once. The network's Python runs in the recording alone, so what it
decides there (a layer dropped by `random`, a branch by a counter) it decides for the whole run: only who knows the
network can ask for this.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Work = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of one batch (x, labels): logits and loss, the loss's gradients in the parameters."""

_WARM_UP = 3
"""Runs before the recording, on its stream, in which libraries choose their algorithms and take their memory."""


class Replay:
    """`work` on a batch like (x, y), to be called with others of the same shape.

    The network's buffers and the random states are left as if nothing had run; gradients are overwritten at each call.

    Raises:
        RuntimeError: the work waits for the device (`.item()`, a branch on a tensor), which a graph cannot hold.
    """

    def __init__(self, work: Work, network: nn.Module, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x.clone(), y.clone()
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.random.fork_rng([x.device]):
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    self._forget()
                    work(self._x, self._y)
                self._forget()
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._logits, self._loss = work(self._x, self._y)
        self._gradients = [p.grad for p in self._parameters]
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, loss), overwritten by the next call."""
        self._x.copy_(x)
        self._y.copy_(y)
        self._graph.replay()
        # A step that was watched, and so not replayed, has left gradients of its own there.
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._logits, self._loss

    def _forget(self) -> None:
        """A gradient that is there would be added to, now and at every replay."""
        for parameter in self._parameters:
            parameter.grad = None
