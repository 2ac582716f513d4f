"""Randomness of a run: seeded for a stretch of code, and given back to the caller as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it torch (every device), NumPy's global generator and `random` start from `seed`; after it, from before.

    Every epoch runs under its own seed, so that a resumed run needs no generator state out of a checkpoint.
    """
    ours, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)
