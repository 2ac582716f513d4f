"""What `skipstone run` costs a training loop that does not fail: steps with and without the watch, in turn.

    python benchmarks/watch_speed.py [--rounds 40]

The floor is one look at a thread-local flag for every call of a module and one record for every call of a root.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from skipstone import models
from skipstone.programs.observer import Observer


def step_of(net: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One step of SGD on random targets."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    targets = torch.randint(10, (len(x),))

    def step() -> None:
        loss = nn.functional.cross_entropy(net(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None], steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    tiny = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    cases = {
        "three-layer perceptron, batch 8": (step_of(tiny, torch.randn(8, 1, 8, 8)), 200),
        "resnet20, batch 8": (step_of(models.create("resnet20"), torch.randn(8, 3, 32, 32)), 5),
    }
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, n = {rounds} pairs, medians (quartiles)")
    for name, (step, steps) in cases.items():
        seconds(step, steps)
        plain, ratios = [], []
        for _ in range(rounds):
            without = seconds(step, steps)
            observer = Observer()
            observer.start()
            watched = seconds(step, steps)
            observer.stop()
            plain.append(without)
            ratios.append(watched / without - 1)
        low, middle, high = statistics.quantiles(ratios, n=4)
        step_us = statistics.median(plain) * 1e6
        print(f"{name}: a step {step_us:,.0f} us; the watch {middle:+.2%} ({low:+.2%} to {high:+.2%})")


if __name__ == "__main__":
    main()
