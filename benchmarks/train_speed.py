"""Training ResNet-20 on CIFAR's shapes, images a second, end to end: our trainer beside the usual loop.

    python benchmarks/train_speed.py [--rounds 5] [--steps 40]

The usual loop is the one of the tutorials: a list of Pillow images, a random crop out of zeros, a mirror image, a float
tensor and its normalisation for each by itself, a DataLoader with two workers, float32 in torch's own layout, the loss
asked for with `.item()` at every step. Ours is `skipstone train`'s own loop, data included, in float32 and in bf16. All
have batches of 128 and as many threads as torch takes. Each case has a process of its own, since our trainer tells the
allocator of its process to keep memory, which a loop beside it would profit from; rounds run every case once, in turn;
medians and the spread.

Two floors: what torch's kernels take for forward and backward of a batch at hand, which no trainer of an unchanged
network is below (with the memory kept as ours has it, and as a script has it); and the arithmetic, 40.6 million
multiply-adds an image forward, three times that for a step, at the rate of this machine's best 3x3 convolution in the
same precision.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from skipstone import models
from skipstone.runs.records import Precision, Recipe, RunSpec
from skipstone.training.memory import keep_freed_memory
from skipstone.training.progress import Silent
from skipstone.training.trainer import prepare

BATCH = 128
MACS = 40_551_040
WARM_STEPS = 3
DATA = f"{__file__}:images"


def images(count: int = 10_000) -> tuple[list[tuple[torch.Tensor, int]], list[tuple[torch.Tensor, int]]]:
    """Noise of CIFAR's shape: what is in the pixels costs nothing."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    whole = [(image, i % 10) for i, image in enumerate(pixels)]
    return whole, whole[:500]


class PillowImages(Dataset[tuple[torch.Tensor, int]]):
    """Images as the usual data set has them: decoded, cropped, mirrored and normalised one at a time."""

    def __init__(self) -> None:
        self.images = [(Image.fromarray(image.permute(1, 2, 0).numpy()), label) for image, label in images()[0]]
        self.mean, self.std = torch.full((3, 1, 1), 0.47), torch.full((3, 1, 1), 0.25)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, label = self.images[index]
        padded = Image.new("RGB", (40, 40))
        padded.paste(image, (4, 4))
        left, top = random.randint(0, 8), random.randint(0, 8)
        image = padded.crop((left, top, left + 32, top + 32))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (x - self.mean) / self.std, label


def usual_loop(steps: int) -> Iterator[float]:
    """Seconds of so many steps, each time it is asked."""
    model = models.create("resnet20")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(PillowImages(), batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    while True:
        batches = iter(loader)
        for step in range(WARM_STEPS + steps):
            if step == WARM_STEPS:
                began = time.perf_counter()
            x, y = next(batches)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
        seconds = time.perf_counter() - began
        del batches  # its workers end here
        yield seconds


def our_loop(steps: int, precision: Precision) -> Iterator[float]:
    recipe = replace(Recipe(), batch_size=BATCH, precision=precision, augmentation="crop-flip")
    run = prepare(RunSpec(data=DATA, recipe=recipe, epochs=100, device="cpu", flow=False), Silent())
    run.loop.epoch(1, steps=WARM_STEPS)
    while True:
        began = time.perf_counter()
        run.loop.epoch(1, steps=steps)
        yield time.perf_counter() - began


def torch_alone(steps: int, *, kept: bool) -> Iterator[float]:
    """The same steps in bf16 of one batch that is at hand: forward, loss, backward, and no more."""
    if kept:
        keep_freed_memory()
    model = models.create("resnet20").to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (BATCH,))
    while True:
        for step in range(WARM_STEPS + steps):
            if step == WARM_STEPS:
                began = time.perf_counter()
            model.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
        yield time.perf_counter() - began


def convolution_rate(dtype: torch.dtype) -> float:
    """Multiply-adds a second of a 3x3 convolution of 512 channels, forward, the best of five."""
    conv = nn.Conv2d(512, 512, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(32, 512, 16, 16, dtype=dtype).to(memory_format=torch.channels_last)
    times = []
    with torch.no_grad():
        for _ in range(6):
            began = time.perf_counter()
            conv(x)
            times.append(time.perf_counter() - began)
    return 32 * 256 * 9 * 512 * 512 / min(times[1:])


CASES: dict[str, Callable[[int], Iterator[float]]] = {
    "usual loop: Pillow, DataLoader, fp32": usual_loop,
    "ours, fp32": lambda steps: our_loop(steps, "fp32"),
    "ours, bf16": lambda steps: our_loop(steps, "bf16"),
    "torch's kernels, bf16, memory kept": lambda steps: torch_alone(steps, kept=True),
    "torch's kernels, bf16": lambda steps: torch_alone(steps, kept=False),
}


@cache
def _running(name: str, steps: int) -> Iterator[float]:
    """The case of this process."""
    return CASES[name](steps)


def seconds_of(name: str, steps: int) -> float:
    return next(_running(name, steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="at most 75: an epoch of 10,000 images")
    options = parser.parse_args()
    processes = {name: ProcessPoolExecutor(1, mp_context=get_context("spawn")) for name in CASES}
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(options.rounds):
        for name, process in processes.items():
            seconds = process.submit(seconds_of, name, options.steps).result()
            rates[name].append(options.steps * BATCH / seconds)
    for process in processes.values():
        process.shutdown()
    threads, cores, load = torch.get_num_threads(), len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"torch {torch.__version__}, {threads} threads, {cores} cores, load {load:.1f}; n = {options.rounds}")
    usual = rates[next(iter(CASES))]
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, usual, strict=True)]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name:38} {statistics.median(found):7.0f} images/s  {middle:5.2f}x ({low:.2f} to {high:.2f})")
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        print(f"floor of the arithmetic, {name}: {convolution_rate(dtype) / (3 * MACS):7.0f} images/s")


if __name__ == "__main__":
    main()
