"""A network tried before it is trained, on a twin and exactly as training will run it.

Trying beats asking: real batches of the run's own size in train mode and backward, the sizes that evaluation will use,
the memory layout that training would like. What the record of a network can't see (a `view` that wants another layout,
a squeeze that eats a batch of one, state outside the modules) shows here, before anything is written.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import nn

from skipstone.blocks.parts.whitening import PATCH_IMAGES, Whitening
from skipstone.core.errors import SkipstoneError
from skipstone.data import Batches, Images, Pixels, Splits
from skipstone.data.batches import mixed_seed
from skipstone.models.importing import ctrl_c, one_line
from skipstone.runs.records import RunSpec
from skipstone.training.checkpoint import pack, unpack
from skipstone.training.evaluate import BATCH
from skipstone.training.loop import MODEL_STREAM, Loop, RunFailed
from skipstone.training.model import checker_says, reason
from skipstone.training.seeding import seeded

Rebuild = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Trial:
    """How the network is to be trained: `channels_last` or in torch's own layout, and what there is to tell of it.

    `unused` are the parameters that had no gradient.
    """

    channels_last: bool
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What a trial runs on: the run's own data, batches, device and builder."""

    spec: RunSpec
    data: Splits
    batches: Batches
    fabric: Fabric
    rebuild: Rebuild

    def try_out(self, model: nn.Module) -> Trial:
        """Find the layout in which the network trains, and whether a resumed run will be its equal.

        `model` stays as it is; `batches` are left in the layout found.

        Raises:
            SkipstoneError: it can't be trained or evaluated in either layout; the text has its own error and, where the
                checker finds one, the reason.
        """
        refusals: list[SkipstoneError] = []
        for channels_last in (True, False) if _likes_channels_last(model) else (False,):
            self.batches.lay_out(channels_last=channels_last)
            try:
                trained = self._trained(self._twin(model), channels_last)
            except SkipstoneError as error:
                refusals.append(error)
                continue
            unused = tuple(n for n, p in trained.bare.named_parameters() if p.requires_grad and p.grad is None)
            unlike = self._unlike_resumed(trained, channels_last)
            found = checker_says(model, self.data.shape)
            wrong = (f"it trains, but the checker says: {found}",) if found else ()
            return Trial(channels_last, (*wrong, *map(_in_own_layout, refusals), *unlike), unused)
        said = str(refusals[-1])
        raise SkipstoneError(f"{said}{reason(self.spec, model, self.data.shape, said)}") from refusals[-1].__cause__

    def _twin(self, model: nn.Module) -> nn.Module:
        try:
            return copy.deepcopy(model)
        except Exception:  # noqa: BLE001 - whatever a user's object answers to copying; building it again needs none
            return self.rebuild()

    def _trained(self, twin: nn.Module, channels_last: bool) -> Loop:
        """A loop over the twin after one step, evaluated at every size that the run will."""
        loop = self._loop(twin, channels_last)
        images = f"images ({self.batches.batch_size}, {', '.join(map(str, self.data.shape))})"
        try:
            loop.epoch(1, steps=1)
        except RunFailed as error:
            raise SkipstoneError(
                f"{self.spec.model} cannot be trained on {self.data.name}'s {images}: {_said(error)}"
            ) from error
        for size in sorted(_evaluated_sizes(self.data)):
            self._evaluate(loop, size)
        return loop

    def _evaluate(self, loop: Loop, size: int) -> None:
        pixels = self.data.train.pixels[:size].to(self.fabric.device)
        expected = (len(pixels), self.data.num_classes, *self.data.label_shape)
        loop.model.eval()
        with torch.no_grad(), _as_evaluated(f"{self.spec.model} cannot be evaluated on {size} images at once"):
            logits = loop.model(self.batches.pixels.normalise(pixels))
            if logits.shape != expected:
                raise ValueError(f"it gives {tuple(logits.shape)}, expected logits {expected}")

    def _unlike_resumed(self, trained: Loop, channels_last: bool) -> tuple[str, ...]:
        """Save, restore into a network built anew, take a step with both: the reasons why they part, if they do.

        Only for runs that can be resumed, and on a CPU, where equal steps give equal bits.
        """
        if self.spec.out is None or self.fabric.device.type != "cpu":
            return ()
        saved, unkept = pack(trained.bare, trained.optimizer, 1)
        try:
            resumed = self._loop(self.rebuild(), channels_last)
            unpack(saved, resumed.bare, resumed.optimizer)
            for loop in (trained, resumed):
                loop.epoch(2, steps=1)
        except SkipstoneError as error:
            return (_not_equal(f"saved after one step and built anew, it could not go on: {error}"),)
        ours, theirs = trained.bare.state_dict(), resumed.bare.state_dict()
        if all(_same(ours[key], theirs[key]) for key in ours):
            return tuple(_not_equal(f"{what}, which a checkpoint can't hold") for what in unkept.moving)
        hidden = (
            "; ".join((*unkept.moving, *unkept.other))
            or "it keeps state outside its modules (a global, a class attribute, a closure)"
        )
        return (_not_equal(f"saved and restored after one step, the next came out otherwise: {hidden}"),)

    def _loop(self, model: nn.Module, channels_last: bool) -> Loop:
        laid_out, spec = lay_out(model, channels_last=channels_last), self.spec
        # Two epochs at least: past the end of a run the rate is 0, and a step that moves nothing shows nothing.
        return Loop(laid_out, self.batches, spec.recipe, epochs=max(2, spec.epochs), seed=spec.seed, fabric=self.fabric)


def lay_out(model: nn.Module, *, channels_last: bool) -> nn.Module:
    """The network with its filters as 2-D convolutions like them best, or as they are."""
    return model.to(memory_format=torch.channels_last) if channels_last else model  # type: ignore[call-overload]


def seeded_build(build: Rebuild, seed: int) -> nn.Module:
    """The network as the run's seed initialises it."""
    with seeded(mixed_seed(seed, 0, MODEL_STREAM)):
        return build()


def fit_whitening(network: nn.Module, pixels: Pixels, images: Images) -> nn.Module:
    """The network, each `Whitening` in it fitted to the first training images as they are without augmentation."""
    for module in network.modules():
        if isinstance(module, Whitening):
            module.fit(pixels.normalise(images.pixels[:PATCH_IMAGES]))
    return network


def _likes_channels_last(model: nn.Module) -> bool:
    """A 4-D layout has no meaning for a network of 3-D convolutions, and none to gain without 2-D ones."""
    ranks = {p.ndim for p in model.parameters()}
    return 4 in ranks and 5 not in ranks


def _evaluated_sizes(data: Splits) -> set[int]:
    """How many images stand in a batch of evaluation: full ones, and each part's last."""
    counts = {len(data.train[: len(data.val)]), len(data.val), len(data.test)}
    return {min(BATCH, count) for count in counts} | {count % BATCH for count in counts if count % BATCH}


@contextmanager
def _as_evaluated(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if ctrl_c(error):
            raise
        raise SkipstoneError(f"{what}: {one_line(error)}") from error


def _said(error: RunFailed) -> str:
    return one_line(error.__cause__) if error.__cause__ else str(error)


def _in_own_layout(refusal: SkipstoneError) -> str:
    cause = refusal.__cause__
    why = f"it raises {_said(cause)}" if isinstance(cause, RunFailed) else str(refusal)
    return f"trained in torch's own memory layout, since as channels-last {why}"


def _same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Bit for bit, but for which of its many bit patterns a NaN has."""
    return torch.equal(torch.nan_to_num(ours), torch.nan_to_num(theirs))


def _not_equal(why: str) -> str:
    return f"a resumed run will not be bit-equal to an uninterrupted one: {why}"
