"""What watching gradients costs a training loop: steps with and without each instrument, in turn.

    python benchmarks/flow_speed.py [--rounds 9] [--small]

Cases: the watch at every step without and with the layers' outputs, at every 50th step, a Python loop of
`.norm().item()` over parameters, and, where it is installed, W&B's `watch`. Ratios are medians over rounds in which
every case runs once, in turn. BackPACK has no case: it wants networks built of its own modules.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from skipstone import models, watch

Wrap = Callable[[nn.Module, torch.optim.Optimizer], AbstractContextManager[Callable[[], object] | None]]


@contextmanager
def every(steps: int, model: nn.Module, optimizer: torch.optim.Optimizer, *, outputs: bool) -> Iterator[None]:
    with watch(model, optimizer, every=steps, outputs=outputs):
        yield None


@contextmanager
def python_loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Callable[[], object]]:
    yield lambda: [(p.grad.norm().item(), p.detach().norm().item()) for p in model.parameters() if p.grad is not None]


@contextmanager
def wandb_watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Callable[[], object]]:
    import wandb

    run = wandb.init(mode="offline", dir="/dev/shm", settings=wandb.Settings(silent=True))
    run.watch(model, log="gradients", log_freq=1)
    yield lambda: run.log({})
    run.unwatch(model)
    run.finish()


CASES: dict[str, Wrap] = {
    "no instrument": lambda m, o: nullcontext(),
    "watch, every step": lambda m, o: every(1, m, o, outputs=False),
    "watch, every step, with outputs": lambda m, o: every(1, m, o, outputs=True),
    "watch, every 50 steps, with outputs": lambda m, o: every(50, m, o, outputs=True),
    "python loop of .norm().item()": python_loop,
}


def installed() -> dict[str, Wrap]:
    try:
        import wandb  # noqa: F401
    except ImportError:
        return CASES
    return {**CASES, "wandb.watch, every step": wandb_watch}


def seconds(
    net: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, torch.Tensor], wrap: Wrap, steps: int
) -> float:
    x, y = batch
    with wrap(net, optimizer) as after:
        start = time.process_time()
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            if after is not None:
                after()
            optimizer.step()
        return (time.process_time() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="one small network: to see that it runs")
    given = parser.parse_args()
    nets = {"resnet20, batch 128": ("resnet20", 128, 2), "resnet110, batch 16": ("resnet110", 16, 2)}
    if given.small:
        nets = {"resnet8, batch 4": ("resnet8", 4, 2)}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, process time, n = {given.rounds} rounds")
    for title, (name, size, steps) in nets.items():
        torch.manual_seed(0)
        net = models.create(name)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
        batch = torch.randn(size, 3, 32, 32), torch.randint(10, (size,))
        cases = installed()
        seconds(net, optimizer, batch, CASES["no instrument"], 1)
        found: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(given.rounds):
            for case, wrap in cases.items():
                # Of fifty steps one is recorded: the others are part of what it costs.
                found[case].append(seconds(net, optimizer, batch, wrap, 50 if "50" in case else steps))
        plain = found["no instrument"]
        print(f"{title}: a step {statistics.median(plain) * 1e3:.1f} ms")
        for case in list(cases)[1:]:
            ratios = [a / b - 1 for a, b in zip(found[case], plain, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"  {case}: {middle:+.2%} ({low:+.2%} to {high:+.2%})")


if __name__ == "__main__":
    main()
