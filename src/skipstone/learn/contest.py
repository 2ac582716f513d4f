"""The contest of the open unit: networks trained from their records on the digits, all in the same way, and scored."""

from collections.abc import Mapping
from functools import cache
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.learn.answers import Net
from skipstone.learn.replay import replay
from skipstone.tracing import trace

STEPS, SEEDS = 60, (0, 1, 2)


class _Reference(nn.Module):
    """The starter's network, or with an addition around every two convolutions behind the first two."""

    def __init__(self, layers: int, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.convs = nn.ModuleList(nn.Conv2d(8 if i else 1, 8, 3, padding=1) for i in range(layers))
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.convs[1](F.relu(self.convs[0](x))))
        for i in range(2, len(self.convs), 2):
            y = self.convs[i + 1](F.relu(self.convs[i](x)))
            x = F.relu(x + y) if self.skips else F.relu(y)
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 4).flatten(1))
        return logits


@cache
def reference(layers: int, batch: int, *, skips: bool) -> float:
    """The score of a reference design of so many convolutions, trained on batches of that size, as an answer is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # its biases; the weights are drawn anew
        model = _Reference(layers, skips).train()
    return score(Net(trace(model, (batch, 1, 8, 8)), dict(model.named_parameters()), []))


def score(net: Net) -> float:
    """The mean test accuracy over the seeds."""
    return sum(_accuracy(net, seed) for seed in SEEDS) / len(SEEDS)


def _accuracy(net: Net, seed: int) -> float:
    from skipstone.data.digits import load_digits

    train, test = load_digits()
    batch = net.shape_at(net.graph.inputs[0])[0]
    draw = torch.Generator().manual_seed(seed)
    trained = {p.name for p in net.graph.parameters if p.requires_grad}
    weights = {n: _fresh(w, draw) if n in trained else w.clone() for n, w in net.weights.items()}
    leaves = [weights[name].requires_grad_(True) for name in sorted(trained)]
    optimizer = torch.optim.SGD(leaves, lr=0.05, momentum=0.9)
    with torch.enable_grad():
        for _ in range(STEPS):
            chosen = torch.randint(len(train), (batch,), generator=draw)
            loss = F.cross_entropy(_run(net, weights, train.pixels[chosen]), train.labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(leaves, 1.0)
            optimizer.step()
    with torch.no_grad():
        batches = [slice(i, i + batch) for i in range(0, len(test) - batch + 1, batch)]
        hits = [(_run(net, weights, test.pixels[b]).argmax(1) == test.labels[b]).float().mean() for b in batches]
    return float(torch.stack(hits).mean())


def _run(net: Net, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    return replay(net.graph, weights, pixels.float() / 8 - 1)[0]


def _fresh(weight: Tensor, draw: torch.Generator) -> Tensor:
    """Drawn anew as PyTorch draws it, so that no answer brings trained weights along; what is constant stays."""
    weight = weight.detach().clone()
    if weight.ndim < 2 or bool((weight == weight.flatten()[0]).all()):
        return weight
    bound = 1 / sqrt(weight[0].numel())
    return torch.empty_like(weight).uniform_(-bound, bound, generator=draw)
