"""Shattered gradients and filter-normalised slices: the tables of docs/flow.md, measured anew.

    python benchmarks/flow_studies.py [--seeds 20]

The first table is the autocorrelation of the gradient along a line of 256 inputs in [-2, 2], width 200, batch
statistics frozen at those of the line, random biases in the first layer (Balduzzi et al. 2017, 1702.08591): the mean
over seeds and its standard error. The second is the loss at five points along one direction, for a network and its twin
with W1 x 10 and W2 / 10 (Li et al. 2018).
"""

import argparse
import statistics
from collections.abc import Sequence

import torch
from torch import nn

from skipstone.flow.studies import filter_normalised, gradient_autocorrelation, loss_slice

WIDTH, POINTS, DEPTHS, LAGS = 200, 256, (2, 10, 24, 50), (1, 10)


class Frozen(nn.Module):
    """Batch norm whose statistics are taken once, from the first batch, and no longer depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: torch.Tensor | None = None
        self.std: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is None or self.std is None:
            self.mean, self.std = x.detach().mean(0), x.detach().std(0) + 1e-5
        return (x - self.mean) / self.std


class Net(nn.Module):
    def __init__(self, depth: int, beta: float | None, norm: bool) -> None:
        super().__init__()
        self.first, self.beta = nn.Linear(1, WIDTH), beta
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(Frozen() if norm else nn.Identity() for _ in range(depth))
        self.last = nn.Linear(WIDTH, 1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.first.bias)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            branch = layer(torch.relu(norm(x)))
            x = branch if self.beta is None else x + self.beta * branch
        return self.last(x)


NETS = {
    "plain + norm": (None, True), "residual, beta 1 + norm": (1.0, True), "residual, beta .1 + norm": (0.1, True),
    "plain, no norm": (None, False),
}  # fmt: skip


def shattering(seeds: int) -> None:
    line = torch.linspace(-2, 2, POINTS).view(-1, 1)
    print(f"autocorrelation at lag 1 / lag 10, mean of {seeds} seeds (standard error)")
    print("| | " + " | ".join(f"L = {depth}" for depth in DEPTHS) + " |\n|---" + "|---" * len(DEPTHS) + "|")
    for name, (beta, norm) in NETS.items():
        cells = []
        for depth in DEPTHS:
            found = []
            for seed in range(seeds):
                torch.manual_seed(seed)
                net = Net(depth, beta, norm)
                net(line)  # takes the statistics
                found.append(gradient_autocorrelation(net, line, LAGS))
            cells.append(" / ".join(mean_text(values) for values in zip(*found, strict=True)))
        print(f"| {name} | " + " | ".join(cells) + " |")


def mean_text(values: Sequence[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.3f} ({error:.3f})"


def slices() -> None:
    x, y = torch.randn(64, 4, dtype=torch.float64), torch.arange(64) % 3
    at = (-1.0, -0.5, 0.0, 0.5, 1.0)

    def profile(scale: float) -> list[float]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 16, bias=False), nn.ReLU(), nn.Linear(16, 3, bias=False)).double()
        with torch.no_grad():
            net[0].weight *= scale
            net[2].weight /= scale
        return loss_slice(net, lambda f: nn.functional.cross_entropy(f(x), y), filter_normalised(net, 1), at)

    one, other = profile(1.0), profile(10.0)
    print(f"slice: {', '.join(f'{v:.4f}' for v in one)}; with W1 x 10, W2 / 10 it moves by at most", end=" ")
    print(f"{max(abs(a - b) for a, b in zip(one, other, strict=True)):.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    shattering(parser.parse_args().seeds)
    slices()
