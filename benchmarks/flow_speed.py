"""What watching gradients costs a training loop: steps with and without each instrument, in turn, and its memory.

    python benchmarks/flow_speed.py [--rounds 9] [--steps 2] [--parts layers resnet20 resnet110 seldom memory] [--small]

Cases: the watch at every step without and with the layers' outputs, with the skips; a Python loop of `.norm().item()`
over parameters; and, where they are installed, W&B's `watch`, and BackPACK's `BatchL2Grad` on a sequential network,
which is what it takes. Every case has a copy of the network of its own. Ratios are medians over rounds in which every
case runs once, each round beginning with another one, by process time on one thread. One case is no instrument once
more: how far its ratio lies from 0 is what the measurement cannot tell.

The floor is what reading alone costs: a norm of as many tensors, as large as the outputs and their gradients, and as
what is read and written of the weights; once of memory that was written just before, once of memory that was not
touched lately. `seldom`: fifty steps with a watch of every 50th against fifty without. `memory`: of 500 watched steps.
"""

import argparse
import copy
import gc
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
AGAIN = "no instrument, again"
WEIGHT_PASSES = 8  # weight, gradient and new weight: each read and its copy written; the old copy and the change read


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
    AGAIN: lambda m, o: nullcontext(),
    "watch, every step, without outputs": lambda m, o: every(1, m, o, outputs=False),
    "watch, every step": lambda m, o: every(1, m, o, outputs=True),
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


def floor(net: nn.Module, batch: Batch) -> tuple[int, float, float, float]:
    """(operations, megabytes, seconds where just written, seconds where not touched lately) of reading alone."""
    sizes: list[int] = []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [m.register_forward_hook(lambda m, i, o: sizes.extend([o.numel()] * 2)) for m in layers]
    net(batch[0])
    for handle in handles:
        handle.remove()
    sizes += [m.weight.numel() for m in layers] * WEIGHT_PASSES
    tensors = [torch.ones(size) for size in sizes]  # ones, as pages of zeros are given out when they are read
    hot = 0.0
    for tensor in tensors:
        tensor.fill_(2.0)
        hot += took(lambda tensor=tensor: torch.linalg.vector_norm(tensor))
    cold = took(lambda: [torch.linalg.vector_norm(tensor) for tensor in tensors])
    return len(sizes), sum(sizes) * 4 / 1e6, hot, cold


def took(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def measured(
    net: nn.Module, batch: Batch, cases: dict[str, Wrap], rounds: int, steps: int
) -> tuple[dict[str, list[float]], list[tuple[int, float, float, float]]]:
    """(seconds of a step in each round by case, the floors): every case once a round, in an order that goes round."""
    own = {case: copy.deepcopy(net) for case in cases}
    optimizers = {case: optimizer_of(own[case]) for case in cases}
    found: dict[str, list[float]] = {case: [] for case in cases}
    floors = []
    for number in range(rounds + 1):
        names = list(cases)
        first = number % len(names)
        for case in names[first:] + names[:first]:
            found[case].append(seconds(own[case], optimizers[case], batch, cases[case], steps))
        floors.append(floor(net, batch))
    return {case: values[1:] for case, values in found.items()}, floors[1:]  # the first round warms caches


def compare(title: str, net: nn.Module, batch: Batch, rounds: int, steps: int) -> None:
    found, floors = measured(net, batch, cases_for(net), rounds, steps)
    step_seconds = statistics.median(found[PLAIN])
    operations, megabytes = floors[0][:2]
    hot, cold = (statistics.median(row[k] for row in floors) / step_seconds for k in (2, 3))
    print(f"{title}: a step {step_seconds * 1e3:.1f} ms", end="; ")
    print(
        f"floor {operations} norms of {megabytes:.0f} MB, {hot:.1%} of a step (just written), {cold:.1%} (not lately)"
    )
    tell(found)


def tell(found: dict[str, list[float]]) -> None:
    """Each case's ratio to the first, round by round: median, quartiles, and the mean with its standard error."""
    for case in list(found)[1:]:
        ratios = [a / b - 1 for a, b in zip(found[case], found[PLAIN], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        mean, error = statistics.fmean(ratios), statistics.stdev(ratios) / len(ratios) ** 0.5
        spread = f"({low:+.2%} to {high:+.2%}), mean {mean:+.2%} +- {error:.2%}, n = {len(ratios)}"
        print(f"  {case}: {middle:+.2%} {spread}", flush=True)


def seldom(rounds: int, model: str, batch_size: int) -> None:
    """A watch of every 50th step, of which one in fifty is recorded."""
    cases: dict[str, Wrap] = {
        PLAIN: CASES[PLAIN],
        AGAIN: CASES[AGAIN],
        "watch, every 50 steps": lambda m, o: every(50, m, o, outputs=True),
    }
    batch = torch.randn(batch_size, 3, 32, 32), torch.randint(10, (batch_size,))
    found, _ = measured(models.create(model), batch, cases, rounds, 50)
    print(f"{model}, batch {batch_size}, fifty steps a round: a step {statistics.median(found[PLAIN]) * 1e3:.1f} ms")
    tell(found)


def memory(steps: int) -> None:
    """Live tensors and the process's resident memory along the watched steps of one loop, each recorded."""
    net = models.create("resnet8", width=8)
    batch, optimizer = (torch.randn(4, 3, 32, 32), torch.randint(10, (4,))), optimizer_of(net)
    with watch(net, optimizer, every=1, skips=True) as flow:
        for number in range(1, steps + 1):
            step(net, optimizer, batch, None)
            flow.records.clear()  # they are the loop's to keep: plain numbers, some 0.3 KB a layer
            if number % (steps // 10) == 0:
                print(f"  after {number} steps: {live_tensors()}, {resident():.1f} MB resident", flush=True)


def resident() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def live_tensors() -> str:
    gc.collect()
    sizes = [thing.numel() for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    return f"{len(sizes)} tensors of {sum(sizes):,} elements"


NETWORKS: dict[str, tuple[str, Callable[[], nn.Module], int]] = {
    "layers": ("a sequential network of 4 layers, batch 64", small_sequential, 64),
    "resnet20": ("resnet20, batch 128", lambda: models.create("resnet20"), 128),
    "resnet110": ("resnet110, batch 16", lambda: models.create("resnet110"), 16),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--parts", nargs="+", default=[*NETWORKS, "seldom", "memory"])
    parser.add_argument("--small", action="store_true", help="small networks and few steps: to see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, process time, n = {given.rounds} rounds of {given.steps} steps")
    networks = {"resnet8": ("resnet8, batch 4", lambda: models.create("resnet8"), 4)} if given.small else NETWORKS
    for name, (title, make, size) in networks.items():
        if name in given.parts or given.small:
            batch = torch.randn(size, 3, 32, 32), torch.randint(10, (size,))
            compare(title, make(), batch, given.rounds, given.steps)
    if "seldom" in given.parts:
        seldom(given.rounds, *(("resnet8", 1) if given.small else ("resnet20", 16)))
    if "memory" in given.parts:
        print("memory of a watch of every step with the skips, resnet8:")
        memory(20 if given.small else 500)


if __name__ == "__main__":
    main()
