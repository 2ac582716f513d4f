"""A labelled set of images in memory, and its parts for training, validation and test."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Augmentation


class DataError(SkipstoneError, ValueError):
    """A data set that is missing or is not what its name promises; the text names the file and what was expected."""


@dataclass(frozen=True, slots=True)
class Images:
    """`pixels` (N, C, H, W) uint8, or inputs of any shape (N, ...) float32, and `labels` (N,) int64.

    Where each pixel has a label of its own, they are maps: `labels` (N, H, W).
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        floats = self.pixels.dtype == torch.float32 and self.pixels.ndim >= 2
        if not floats and (self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4):
            raise DataError(
                f"pixels are {self.pixels.dtype} {tuple(self.pixels.shape)}, "
                "expected uint8 (N, C, H, W), or float32 of any shape"
            )
        count, maps = self.pixels.shape[:1], self.pixels.shape[:1] + self.pixels.shape[2:]
        if self.labels.dtype != torch.int64 or self.labels.shape not in (count, maps):
            by_pixel = f" or {tuple(maps)}: one for each image, or pixel" if len(maps) > 1 else ": one for each image"
            raise DataError(
                f"labels are {self.labels.dtype} {tuple(self.labels.shape)}, "
                f"expected int64 ({len(self.pixels)},){by_pixel}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> "Images":
        return Images(self.pixels[index], self.labels[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of one image, or the shape of one input."""
        return tuple(self.pixels.shape[1:])

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of one label: () for one an image, (H, W) for one a pixel."""
        return tuple(self.labels.shape[1:])


@dataclass(frozen=True, slots=True)
class Splits:
    """A data set in three parts. `augmentation` is what "auto" means for it; `classes` names the labels in order."""

    name: str
    train: Images
    val: Images
    test: Images
    classes: tuple[str, ...]
    augmentation: Literal["none", "crop-flip"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.shape

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of one label: (), or (H, W) where each pixel has one."""
        return self.train.label_shape

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def augmentation_for(self, asked: Augmentation) -> Literal["none", "crop", "crop-flip"]:
        """What a recipe's augmentation comes to on this data."""
        return self.augmentation if asked == "auto" else asked

    def digest(self) -> str:
        """A fingerprint of every pixel and label of the three parts: 32 hexadecimal digits."""
        hashed = blake2b(digest_size=16)
        for part in (self.train, self.val, self.test):
            hashed.update(repr(tuple(part.pixels.shape)).encode())
            hashed.update(part.pixels.contiguous().numpy().data)
            hashed.update(part.labels.contiguous().numpy().data)
        return hashed.hexdigest()


def permutation(count: int, seed: int) -> Tensor:
    """A fixed shuffle of `range(count)`: (count,) int64.

    From NumPy's RandomState, the one generator whose stream is promised never to change: a split outlives versions.
    """
    return torch.from_numpy(np.random.RandomState(seed).permutation(count)).to(torch.int64)


def hold_out(images: Images, fraction: float, seed: int) -> tuple[Images, Images]:
    """(rest, held out): `fraction` of the images, rounded, at least one each, chosen by `permutation(N, seed)`.

    Both parts keep the set's own order.
    """
    held = min(max(1, round(fraction * len(images))), len(images) - 1)
    if held < 1:
        raise DataError(f"cannot hold out a validation part of {len(images)} image(s), expected at least 2")
    order = permutation(len(images), seed)
    return images[order[held:].sort().values], images[order[:held].sort().values]
