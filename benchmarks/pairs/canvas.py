"""A small segmentation task made of the handwritten digits: up to four of them on a canvas, a label for each pixel."""

import numpy as np
import torch
from torch import Tensor

from skipstone.data.digits import CLASSES, load_digits
from skipstone.data.images import Images

SIDE, CELL = 20, 10
INK = 4
"""Of 16 grey levels: from here on a pixel belongs to its digit, below it to the ground."""


class Canvases(list[tuple[Tensor, Tensor]]):
    """Pairs of a picture (1, 20, 20) uint8 and its labels (20, 20): the digit a pixel belongs to, 10 for the ground."""

    classes = (*CLASSES, "ground")


def make_data(train: int = 450, test: int = 200) -> tuple[Canvases, Canvases]:
    """(training, test), each from the digits' own part: no digit is in both. Always the same canvases."""
    digits, unseen = load_digits()
    return _canvases(digits, train, seed=0), _canvases(unseen, test, seed=1)


def _canvases(digits: Images, count: int, seed: int) -> Canvases:
    draw = np.random.RandomState(seed)
    return Canvases(_canvas(digits, draw) for _ in range(count))


def _canvas(digits: Images, draw: np.random.RandomState) -> tuple[Tensor, Tensor]:
    """A digit in each quarter, at a random place there; one time in four the quarter stays empty."""
    picture = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    labels = torch.full((SIDE, SIDE), len(CLASSES), dtype=torch.int64)
    for top in (0, CELL):
        for left in (0, CELL):
            index, down, right, empty = (draw.randint(limit) for limit in (len(digits), 3, 3, 4))
            if empty == 0:
                continue
            place = slice(top + down, top + down + 8), slice(left + right, left + right + 8)
            picture[0][place] = digits.pixels[index, 0]
            labels[place] = torch.where(digits.pixels[index, 0] >= INK, digits.labels[index], len(CLASSES))
    return picture, labels
