"""How fast is a check, against its floors, measured side by side?

    python benchmarks/check_speed.py [--runs 9]

Warm, in one process: `check` and `trace` of ResNet-50 against the floor, the same forward pass on the same fake
tensors with nothing recorded. Cold, a process each: `skipstone check` against the floor, a process that imports torch,
and beside what a first `FakeTensorMode` costs where it brings torch's compiler with it. The contenders are interleaved;
medians, spread and n are given.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import skipstone
from skipstone.tracing.clone import FakeClone, fake_tensor

SHAPE = (2, 3, 224, 224)
FLOOR = "import torch"
FAKE_MODE = "from torch._subclasses.fake_tensor import FakeTensorMode; FakeTensorMode()"
COMMAND = ["-m", "skipstone.cli", "check", "skipstone:imagenet_resnet50", "--input", "3x224x224"]


def warm_contenders() -> dict[str, Callable[[], object]]:
    model = skipstone.models.create("imagenet_resnet50")

    def floor() -> None:
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        clone = FakeClone(model, fake)
        with fake:
            clone.model(fake_tensor(torch.empty(SHAPE), fake))

    return {
        "floor: fake forward pass": floor,
        "skipstone.trace": lambda: skipstone.trace(model, SHAPE),
        "skipstone.check": lambda: skipstone.check(model, SHAPE),
    }


def cold_contenders() -> dict[str, Callable[[], object]]:
    def process(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    return {
        "floor: import torch": process("-c", FLOOR),
        "torch and a fake mode": process("-c", FAKE_MODE),
        "skipstone check": process(*COMMAND),
    }


def measure(contenders: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in range(runs + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if run:  # the first round warms caches
                seconds[name].append(time.perf_counter() - start)
    return seconds


def show(title: str, seconds: dict[str, list[float]]) -> None:
    floor = statistics.median(next(iter(seconds.values())))
    print(f"{title} (n = {len(next(iter(seconds.values())))} each, interleaved)")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"  {name:30} {middle:7.3f} s   {min(values):.3f}..{max(values):.3f}   {middle / floor:5.2f} x floor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}")
    show("warm, ResNet-50 at 224x224", measure(warm_contenders(), runs))
    show("cold, from the shell", measure(cold_contenders(), runs))


if __name__ == "__main__":
    main()
