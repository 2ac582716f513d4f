"""What `skipstone run` costs a training loop that does not fail: steps with and without the watch, in turn.

    python benchmarks/watch_speed.py [--rounds 40]

The floor is one look at a thread-local flag for every call of a module and one record for every call of a root. Both
are measured by themselves on modules that do nothing, in CPU time of the thread, which a busy machine disturbs least;
from them follows the length of step from which the watch costs less than one percent.
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


class Nothing(nn.Module):
    """Gives what it is given, by way of as many modules as it has."""

    def __init__(self, parts: int = 0) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Nothing() for _ in range(parts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            part(x)
        return x


def seconds(step: Callable[[], None], steps: int, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    for _ in range(steps):
        step()
    return (clock() - start) / steps


def pairs(step: Callable[[], None], steps: int, rounds: int, clock: Callable[[], float]) -> list[tuple[float, float]]:
    """Seconds a step without and with the watch, in turn."""
    seconds(step, steps)
    measured = []
    for _ in range(rounds):
        without = seconds(step, steps, clock)
        observer = Observer()
        observer.start()
        measured.append((without, seconds(step, steps, clock)))
        observer.stop()
    return measured


def print_floor(rounds: int) -> None:
    """What the watch adds to one call of a root, and to one of a module within it."""
    x = torch.randn(2, 3)
    alone, many = Nothing(), Nothing(parts=100)
    root = [after - before for before, after in pairs(lambda: alone(x), 5000, rounds, time.thread_time)]
    whole = [after - before for before, after in pairs(lambda: many(x), 200, rounds, time.thread_time)]
    a_root = statistics.median(root)
    inner = [(more - a_root) / 100 for more in whole]
    for name, values in (("a root's call", root), ("a call within it", inner)):
        low, middle, high = (1e6 * value for value in statistics.quantiles(values, n=4))
        print(f"{name}: +{middle:.2f} us ({low:.2f} to {high:.2f})")
    for modules in (5, 60):
        least = 100 * (a_root + modules * statistics.median(inner))
        print(f"under 1 % for a network of {modules} modules: steps from {1e6 * least:,.0f} us on")


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
    print_floor(rounds)
    for name, (step, steps) in cases.items():
        measured = pairs(step, steps, rounds, time.perf_counter)
        low, middle, high = statistics.quantiles([after / before - 1 for before, after in measured], n=4)
        step_us = statistics.median(before for before, _ in measured) * 1e6
        print(f"{name}: a step {step_us:,.0f} us; the watch {middle:+.2%} ({low:+.2%} to {high:+.2%})")


if __name__ == "__main__":
    main()
