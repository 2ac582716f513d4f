"""Batches of float tensors out of uint8 images, cropped and flipped by one gather for the whole batch.

Shape letters: N images in the set, B in a batch, C channels, H height, W width, P padding on each side.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from skipstone.data.images import DataError, Images

FLIP_STREAM = 2**32
"""Apart from every epoch's number."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How grey levels become network input: (pixel - mean) / std by channel, each of shape (1, C, 1, 1)."""

    mean: Tensor
    std: Tensor
    channels_last: bool = True
    """The layout of the network's input: what CPU convolutions like best, or torch's own."""

    @classmethod
    def of(cls, images: Images) -> "Pixels":
        """Exact statistics of a set, from counts of its 256 levels; a constant channel keeps std 1.

        Floats are nobody's to normalise again: mean 0, std 1.
        """
        if images.pixels.is_floating_point():
            return cls(torch.zeros(1), torch.ones(1))
        levels = torch.arange(256, dtype=torch.float64)
        counts = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in images.pixels.unbind(1)]).double()
        shares = counts / counts.sum(1, keepdim=True)
        mean = shares @ levels
        std = (shares * (levels - mean[:, None]) ** 2).sum(1).sqrt()
        std = torch.where(std > 0, std, torch.ones_like(std))
        return cls(mean.float().view(1, -1, 1, 1), std.float().view(1, -1, 1, 1))

    def to(self, device: torch.device) -> "Pixels":
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> the same shape float32, in the layout asked for; floats as they are."""
        layout = torch.channels_last if self.channels_last and pixels.ndim == 4 else torch.contiguous_format
        if pixels.is_floating_point():
            return pixels.contiguous(memory_format=layout)
        x = pixels.to(torch.float32, memory_format=layout)
        return x.sub_(self.mean).div_(self.std)


class Batches:
    """Training batches of `images`, shuffled, with crops and flips; the whole set lies on `device`.

    Each epoch draws from a generator seeded with (seed, epoch) alone, on the CPU: a resumed run and one on another
    device see the same batches. The last, smaller batch of an epoch is left out (other images each time); a set
    smaller than `batch_size` is one batch. `part` (k, n) gives the k-th of n parts of every batch, counted from 0, as
    equal as they can be: n processes that take one each see what a single one sees.

    Flips are drawn anew in each epoch, or `flips` alternate: each image begins as it is or mirrored, and is the other
    in every next epoch, so that two epochs show both (Jordan 2024, 2404.00498).

    Augmentation: the set is held once, padded (by an eighth of the height: 4 at 32, 1 at 8; by reflection, or with
    zeros, which are black and not the mean), and once more mirrored; a window view over both then makes any crop of any
    image an index, so that a batch is one gather.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        *,
        augmentation: Literal["none", "crop", "crop-flip"] = "none",
        padding: Literal["reflect", "zeros"] = "reflect",
        flips: Literal["random", "alternating"] = "random",
        pixels: Pixels | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        part: tuple[int, int] = (0, 1),
    ) -> None:
        if len(images) == 0:
            raise DataError("cannot make batches of no images")
        device = torch.device(device)
        self.batch_size = min(batch_size, len(images))
        self.pixels = (pixels or Pixels.of(images)).to(device)
        self.seed = seed
        self._part = part
        self._labels = images.labels.to(device)
        self._padding = 0 if augmentation == "none" else images.shape[1] // 8
        self._flip = augmentation == "crop-flip"
        self._alternating = flips == "alternating"
        self._shape = images.shape
        if augmentation == "none":
            self._whole, self._windows = images.pixels.to(device), None
        elif images.label_shape:
            raise DataError(f"augmentation {augmentation!r} moves pixels and not their labels; give none")
        elif len(self._shape) != 3:
            raise DataError(f"augmentation {augmentation!r} is of images (C, H, W), and these inputs are {self._shape}")
        else:
            self._windows = _windows(images.pixels, self._padding, padding, self._flip, device)

    def lay_out(self, *, channels_last: bool) -> None:
        """Choose the memory layout of what `epoch` gives."""
        self.pixels = replace(self.pixels, channels_last=channels_last)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._labels) // self.batch_size

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(x (B, C, H, W) float32, labels (B,) or (B, H, W) int64) for each batch of epoch `number`."""
        count = len(self._labels)
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, number))
        order = torch.randperm(count, generator=generator)
        offsets = torch.randint(0, 2 * self._padding + 1, (2, count), generator=generator)
        flips = torch.randint(0, 2 if self._flip else 1, (count,), generator=generator)
        if self._flip and self._alternating:
            flips = (self._first_flips()[order] + number) % 2
        index = torch.stack([order + flips * count, *offsets, order]).to(self._labels.device)
        which, parts = self._part
        for batch in torch.split(index, self.batch_size, dim=1)[: len(self)]:
            rows, top, left, image = torch.tensor_split(batch, parts, dim=1)[which]
            inputs = self._whole[rows] if self._windows is None else self._crop(self._windows, rows, top, left)
            yield self.pixels.normalise(inputs), self._labels[image]

    def _first_flips(self) -> Tensor:
        """(N,), 0 or 1 for each image: the same in every epoch."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, FLIP_STREAM))
        return torch.randint(0, 2, (len(self._labels),), generator=generator)

    def _crop(self, windows: Tensor, rows: Tensor, top: Tensor, left: Tensor) -> Tensor:
        channels, height, width = self._shape
        crop = windows[rows, top, left]  # (B, H, W * C)
        return crop.view(len(rows), height, width, channels).permute(0, 3, 1, 2)


def mixed_seed(*words: int) -> int:
    """One 63-bit seed for several numbers, well mixed, so that (0, 1) and (1, 0) share nothing."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _windows(pixels_NCHW: Tensor, padding: int, mode: str, flip: bool, device: torch.device) -> Tensor:
    """A view (N or 2N, 2P+1, 2P+1, H, W*C): entry [i, y, x] is image i's crop whose corner is (y, x)."""
    _, channels, height, width = pixels_NCHW.shape
    source = pixels_NCHW.permute(0, 2, 3, 1).numpy()
    sides = (padding, padding)
    around = ((0, 0), sides, sides, (0, 0))
    # Constant means black.
    padded = torch.from_numpy(np.pad(source, around, mode="reflect" if mode == "reflect" else "constant"))
    buffer = torch.cat([padded, padded.flip(2)]) if flip else padded.contiguous()
    buffer = buffer.to(device)
    row = (width + 2 * padding) * channels
    image = (height + 2 * padding) * row
    return buffer.as_strided(
        (len(buffer), 2 * padding + 1, 2 * padding + 1, height, width * channels),
        (image, row, channels, row, 1),
    )
