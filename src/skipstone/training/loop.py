"""The training loop: the steps of one network under one recipe. A run of the trainer and a retrained ablation share it.

An epoch draws all its randomness (order, crops, dropout) from the seed and its own number, so that a loop entered at
epoch k goes on as one that began at epoch 1, and no generator's state has to be kept.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from skipstone.core.errors import SkipstoneError
from skipstone.data import Batches
from skipstone.data.batches import mixed_seed
from skipstone.flow import Probe
from skipstone.models.importing import ctrl_c, one_line
from skipstone.runs.records import Recipe
from skipstone.training.evaluate import labels_each
from skipstone.training.optimizer import make_optimizer, set_rate
from skipstone.training.ranks import ALONE, Ranks
from skipstone.training.replay import Replay
from skipstone.training.schedule import learning_rate
from skipstone.training.seeding import seeded

MODEL_STREAM = 1
"""Apart from the stream of the batches, so that dropout and shuffling share no random numbers."""

_OTHERS = {"torch", "lightning_fabric", "skipstone"}
"""Folders in whose files no user's line stands."""


class RunFailed(SkipstoneError):  # noqa: N818 - how a run ended, as the field's job runners say it
    """A network that raised while it was trained; `epoch` and `step` (from 1, in the epoch) say when."""

    def __init__(self, network: str, epoch: int, step: int, error: BaseException) -> None:
        super().__init__(f"{network} raised in step {step} of epoch {epoch}: {one_line(error)}{_place(error)}")
        self.epoch, self.step = epoch, step


@dataclass(frozen=True, slots=True)
class EpochMeans:
    """Over an epoch's batches, as trained on: loss in nats without smoothing, accuracy as a fraction, gradient norm.

    Where each pixel has a label, both are means over pixels.
    """

    loss: float
    accuracy: float
    grad_norm: float


@dataclass(frozen=True, slots=True)
class StepWatch:
    """What may look at a step: `probe` gives the instrument of a step, if any, `stepped` is told of its end."""

    probe: Callable[[int], Probe | None] = lambda step: None
    stepped: Callable[[int, Probe | None], None] = lambda step, probe: None


class Loop:
    """A network, its optimizer and its batches; `epoch` trains one epoch. Steps count from 0 over all epochs.

    `model` is trained in place, moved to the fabric's device. Of several `ranks` each has a part of every batch.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        recipe: Recipe,
        *,
        epochs: int,
        seed: int,
        fabric: Fabric,
        name: str = "",
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self.bare, self.batches, self.recipe, self.seed = model, batches, recipe, seed
        self.num_steps = epochs * len(batches)
        self.optimizer = make_optimizer(model, recipe)
        # The wrapped optimizer copies the list of groups, which a restored checkpoint replaces: rates are set on ours.
        self.model, self._stepper = fabric.setup(model, self.optimizer)
        self._fabric = fabric
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._name = name or type(model).__name__
        # Gradients are averaged over the processes, so that one with more of the batch has to weigh more.
        self._even = self.batches.batch_size % ranks.world == 0
        # Dropout must not drop the same in every part.
        self._own_stream = () if ranks.first else (ranks.rank,)
        self._replay: Replay | None = None

    def epoch(self, number: int, watch: StepWatch | None = None, *, steps: int | None = None) -> EpochMeans:
        """Train epoch `number`, counted from 1, or the first `steps` of it.

        Raises:
            RunFailed: the network raised.
        """
        watch = watch or StepWatch()
        first = (number - 1) * len(self.batches)
        totals = torch.zeros(3, dtype=torch.float64, device=self._fabric.device)
        self.model.train()
        with seeded(mixed_seed(self.seed, number, MODEL_STREAM, *self._own_stream)):
            for step, (x, y) in enumerate(islice(self.batches.epoch(number), steps), start=first):
                probe = watch.probe(step)
                with self._blamed(number, step - first + 1):
                    logits, loss = self._forward(x, y, probe)
                totals += self._update(logits, loss, y, step, probe)
                watch.stepped(step, probe)
        self._ranks.align(self.bare)
        loss_sum, correct = self._ranks.sum(totals[:2]).tolist()
        norm = totals[2].item()
        done = len(self.batches) if steps is None else steps
        count = done * self.batches.batch_size
        return EpochMeans(loss_sum / count, correct / count, norm / done)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return learning_rate(self.recipe, step, self.num_steps)

    def _forward(self, x: Tensor, y: Tensor, probe: Probe | None) -> tuple[Tensor, Tensor]:
        """(logits, loss), its gradients in the parameters."""
        if self.recipe.cuda_graph and probe is None:
            if self._replay is None:
                self._replay = Replay(lambda x, y: self._backward(self.model(x), y), self.bare, x, y)
            return self._replay(x, y)
        self._stepper.zero_grad()
        with probe.outputs() if probe else nullcontext():
            logits = self.model(x)
        return self._backward(logits, y)

    def _backward(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss = F.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        self._fabric.backward(loss if self._even else loss * (len(y) * self._ranks.world / self.batches.batch_size))
        return logits.detach(), loss.detach()

    def _update(self, logits: Tensor, loss: Tensor, y: Tensor, step: int, probe: Probe | None) -> Tensor:
        """Move the weights; (3,) float64: summed loss without smoothing, correct answers, the gradient's norm."""
        if probe is not None:
            probe.gradients()
        norm = get_total_norm([p.grad for p in self._parameters if p.grad is not None], foreach=True)
        if self.recipe.clip is not None:
            clip_grads_with_norm_(self._parameters, self.recipe.clip, norm, foreach=True)
        set_rate(self.optimizer, self.rate(step))
        with probe.change() if probe else nullcontext():
            self._stepper.step()
        plain = F.cross_entropy(logits, y) if self.recipe.label_smoothing else loss
        correct = (logits.argmax(1) == y).sum().double() / labels_each(y)
        return torch.stack([plain.double() * len(y), correct, norm.double()])

    @contextmanager
    def _blamed(self, epoch: int, step: int) -> Iterator[None]:
        """Only the network's own forward and backward stand in here: what raises is the network's."""
        try:
            yield
        except BaseException as error:
            if ctrl_c(error):
                raise
            raise RunFailed(self._name, epoch, step, error) from error


def _place(error: BaseException) -> str:
    """` (net.py:12)`: the innermost line that is neither torch's nor ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _OTHERS & set(Path(frame.filename).parts)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
