"""What watching gradients costs a training loop: steps with and without each instrument, in turn, and its memory.

    python benchmarks/flow_speed.py [--rounds 9] [--steps 2] [--small]

Cases: the watch at every step without and with the layers' outputs, at every 50th step, with the skips; a Python loop
of `.norm().item()` over parameters; and, where they are installed, W&B's `watch`, and BackPACK's `BatchL2Grad` on a
sequential network, which is what it takes. Every case has a copy of the network of its own. Ratios are medians over
rounds in which every case runs once, in turn, by process time on one thread. The floor is what reading alone costs: a
norm of tensors as large as the outputs and their gradients, and as all that is read and written of the weights.
"""

import argparse
import copy
import gc
import math
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from skipstone import models, watch

After = Callable[[], object] | None  # what is called between backward() and step()
Wrap = Callable[[nn.Module, torch.optim.Optimizer], AbstractContextManager[After]]
Batch = tuple[torch.Tensor, torch.Tensor]
PLAIN = "no instrument"
WEIGHT_PASSES = 9  # gradient and weight read; weight and gradient copied; the new weight copied, compared, measured


@contextmanager
def every(
    steps: int, model: nn.Module, optimizer: torch.optim.Optimizer, *, outputs: bool, skips: bool = False
) -> Iterator[After]:
    with watch(model, optimizer, every=steps, outputs=outputs, skips=skips):
        yield None


@contextmanager
def python_loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[After]:
    yield lambda: [(p.grad.norm().item(), p.detach().norm().item()) for p in model.parameters() if p.grad is not None]


@contextmanager
def wandb_watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[After]:
    import wandb

    run = wandb.init(mode="offline", dir="/dev/shm", settings=wandb.Settings(silent=True))
    run.watch(model, log="gradients", log_freq=1)
    yield lambda: run.log({})
    run.unwatch(model)
    run.finish()


@contextmanager
def backpack_norms(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[After]:
    from backpack import backpack, extend
    from backpack.extensions import BatchL2Grad

    extend(model)
    with backpack(BatchL2Grad()):
        yield None


CASES: dict[str, Wrap] = {
    PLAIN: lambda m, o: nullcontext(),
    "watch, every step, without outputs": lambda m, o: every(1, m, o, outputs=False),
    "watch, every step": lambda m, o: every(1, m, o, outputs=True),
    "watch, every 50 steps": lambda m, o: every(50, m, o, outputs=True),
    "watch with skips, every step": lambda m, o: every(1, m, o, outputs=True, skips=True),
    "python loop of .norm().item()": python_loop,
}


def cases_for(net: nn.Module) -> dict[str, Wrap]:
    found = dict(CASES)
    for package, name, wrap in (
        ("wandb", "wandb.watch, every step", wandb_watch),
        ("backpack", "BackPACK, BatchL2Grad, every step", backpack_norms),
    ):
        try:
            __import__(package)
        except ImportError:
            continue
        if package != "backpack" or isinstance(net, nn.Sequential):
            found[name] = wrap
    return found


def small_sequential() -> nn.Module:
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 10))


def step(net: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, after: After) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(batch[0]), batch[1]).backward()
    if after is not None:
        after()
    optimizer.step()


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)


def seconds(net: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, wrap: Wrap, steps: int) -> float:
    with wrap(net, optimizer) as after:
        start = time.process_time()
        for _ in range(steps):
            step(net, optimizer, batch, after)
        return (time.process_time() - start) / steps


def floor(net: nn.Module, batch: Batch) -> tuple[float, float]:
    """(megabytes, seconds) of reading alone, on memory that was not touched lately."""
    sizes: list[int] = []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [m.register_forward_hook(lambda m, i, o: sizes.extend([o.numel()] * 2)) for m in layers]
    net(batch[0])
    for handle in handles:
        handle.remove()
    sizes += [m.weight.numel() for m in layers] * WEIGHT_PASSES
    tensors = [torch.zeros(size) for size in sizes]
    start = time.process_time()
    for tensor in tensors:
        torch.linalg.vector_norm(tensor)
    return sum(sizes) * 4 / 1e6, time.process_time() - start


def compare(title: str, net: nn.Module, batch: Batch, rounds: int, steps: int) -> None:
    cases = cases_for(net)
    own = {case: copy.deepcopy(net) for case in cases}
    optimizers = {case: optimizer_of(own[case]) for case in cases}
    found: dict[str, list[float]] = {case: [] for case in cases}
    floors = []
    for number in range(rounds + 1):
        for case, wrap in cases.items():
            long = "50" in case  # of fifty steps one is recorded, the others are part of the cost: in a third of rounds
            if long and number % 3:
                found[case].append(math.nan)
                continue
            taken = seconds(own[case], optimizers[case], batch, wrap, 50 if long else steps)
            found[case].append(taken)
        floors.append(floor(net, batch))
    found = {case: values[1:] for case, values in found.items()}  # the first round warms caches
    plain = found[PLAIN]
    megabytes, read = floors[0][0], statistics.median(seconds for _, seconds in floors)
    print(f"{title}: a step {statistics.median(plain) * 1e3:.1f} ms", end="; ")
    print(f"floor with outputs {megabytes:.0f} MB, {read / statistics.median(plain):.1%} of a step")
    for case in list(cases)[1:]:
        ratios = [a / b - 1 for a, b in zip(found[case], plain, strict=True) if not math.isnan(a)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"  {case}: {middle:+.2%} ({low:+.2%} to {high:+.2%}), n = {len(ratios)}", flush=True)


def memory(steps: tuple[int, ...] = (50, 500)) -> None:
    """Live tensors and the process's peak after so many watched steps of one loop, each recorded, with the skips."""
    net = models.create("resnet8", width=8)
    batch, optimizer = (torch.randn(4, 3, 32, 32), torch.randint(10, (4,))), optimizer_of(net)
    with watch(net, optimizer, every=1, skips=True) as flow:
        for number in range(1, max(steps) + 1):
            step(net, optimizer, batch, None)
            flow.records.clear()  # they are the loop's to keep: plain numbers, some 0.3 KB a layer
            if number in steps:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"  after {number} steps: {live_tensors()}, peak {peak:.0f} MB")


def live_tensors() -> str:
    gc.collect()
    sizes = [thing.numel() for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    return f"{len(sizes)} tensors of {sum(sizes):,} elements"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="one small network: to see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, process time, n = {given.rounds} rounds of {given.steps} steps")
    nets: dict[str, tuple[nn.Module, int]] = {"resnet8, batch 4": (models.create("resnet8"), 4)}
    if not given.small:
        nets = {
            "a sequential network of 4 layers, batch 64": (small_sequential(), 64),
            "resnet20, batch 128": (models.create("resnet20"), 128),
            "resnet110, batch 16": (models.create("resnet110"), 16),
        }
    for title, (net, size) in nets.items():
        batch = torch.randn(size, 3, 32, 32), torch.randint(10, (size,))
        compare(title, net, batch, given.rounds, given.steps)
    print("memory of a watch of every step with the skips, resnet8:")
    memory((5, 20) if given.small else (50, 500))


if __name__ == "__main__":
    main()
