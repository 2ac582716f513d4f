"""What each skip of a trained network is worth: the network without it, measured in three ways that are kept apart.

Zero-shot accuracy of an ablated network measures that its layers are fed what they never saw, as much as the worth of
the skip. Recalibrating batch norm takes the shift of the statistics out; training on for some epochs lets the weights
adapt as well. The intact network is trained on for as many epochs, as the control.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn

from skipstone import surgery
from skipstone.core.errors import SkipstoneError
from skipstone.core.skip import Skip
from skipstone.data import Batches, Pixels, Splits
from skipstone.experiments.worths import Measured, SkipWorth, Worths
from skipstone.runs.records import Recipe
from skipstone.skips import find_skips
from skipstone.tracing.torch_internals import BATCH_NORMS
from skipstone.training.evaluate import evaluate
from skipstone.training.fabric import make_fabric
from skipstone.training.loop import Loop

FINE_TUNING = Recipe(lr=0.01, schedule="cosine", warmup=0.0)
_CALIBRATION_IMAGES = 10_000  # training images, unaugmented, over which batch-norm statistics are taken anew
_BATCH = 500


def worth_of_skips(
    model: nn.Module,
    data: Splits,
    *,
    epochs: int = 0,
    recipe: Recipe = FINE_TUNING,
    seed: int = 0,
    which: surgery.Which = "all",
    tell: Callable[[str], None] = lambda text: None,
) -> Worths:
    """Take each skip out of a trained network by itself and measure what is lost on the test images.

    `model` maps (N, C, H, W) to logits and stays as it is. With `epochs`, each ablated network, and the intact one, is
    trained on for as many by `recipe`, from the same seed. A concatenation's operand is replaced by zeros, which is the
    same function as a narrower layer.

    Raises:
        SkipstoneError: the network has no such skip, or `epochs` is negative.
    """
    if epochs < 0:
        raise SkipstoneError(f"epochs to retrain must be 0 or more, not {epochs}")
    example = torch.empty((2, *data.shape), device="meta")
    skips = surgery.select(find_skips(model, example), which)
    setting = _Setting(data, epochs, recipe, seed)
    tell("nothing taken out")
    intact = setting.measure(copy.deepcopy(model))
    found = []
    for skip in skips:
        tell(f"without #{skip.index}: {skip.source} -> {skip.target}")
        found.append(_worth(skip, setting.measure(surgery.ablate(model, skip, example, cat="zero"))))
    found.sort(key=lambda worth: worth.without.last)
    return Worths(data.name, len(data.test), epochs, seed, intact, tuple(found))


class _Setting:
    """How every network is measured alike."""

    def __init__(self, data: Splits, epochs: int, recipe: Recipe, seed: int) -> None:
        self.data, self.epochs, self.recipe, self.seed = data, epochs, recipe, seed
        self.pixels = Pixels.of(data.train)

    def measure(self, model: nn.Module) -> Measured:
        zero_shot = self._accuracy(model)
        calibrated = self._recalibrate(model)
        recalibrated = self._accuracy(model) if calibrated else None
        if not self.epochs:
            return Measured(zero_shot, recalibrated, None)
        self._retrain(model)
        return Measured(zero_shot, recalibrated, self._accuracy(model))

    def _accuracy(self, model: nn.Module) -> float:
        return evaluate(model, self.data.test, self.pixels)[1]

    def _recalibrate(self, model: nn.Module) -> bool:
        """Take every batch norm's statistics anew, as plain averages over training images; False: there is none."""
        norms = [m for m in model.modules() if isinstance(m, BATCH_NORMS) and m.track_running_stats]
        momenta = [norm.momentum for norm in norms]
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for x in torch.split(self.data.train.pixels[:_CALIBRATION_IMAGES], _BATCH):
                if norms:
                    model(self.pixels.normalise(x))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return bool(norms)

    def _retrain(self, model: nn.Module) -> None:
        batches = Batches(
            self.data.train, self.recipe.batch_size, pixels=self.pixels, seed=self.seed,
            augmentation=self.data.augmentation_for(self.recipe.augmentation),
        )  # fmt: skip
        fabric = make_fabric("cpu", self.recipe.precision)
        loop = Loop(model, batches, self.recipe, epochs=self.epochs, seed=self.seed, fabric=fabric)
        for epoch in range(1, self.epochs + 1):
            loop.epoch(epoch)


def _worth(skip: Skip, without: Measured) -> SkipWorth:
    return SkipWorth(skip.index, skip.kind, skip.merge, skip.source, skip.target, without)
