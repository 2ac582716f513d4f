"""Handwritten digits: 1,797 real 8x8 images, shipped inside scikit-learn's wheel.

Source: test set of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak 1998), grey levels 0 to 16.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from skipstone.data.images import DataError, Images, permutation

NUM_TEST = 450
"""A quarter. scikit-learn ships no split of its own; ours is one fixed shuffle."""

CLASSES = tuple("0123456789")


def load_digits() -> tuple[Images, Images]:
    """(training 1,347 x 1 x 8 x 8, test 450 x 1 x 8 x 8), always the same split."""
    rows = torch.from_numpy(_rows())
    images = Images(rows[:, :64].view(-1, 1, 8, 8).contiguous(), rows[:, 64].to(torch.int64))
    order = permutation(len(images), seed=0)
    return images[order[NUM_TEST:].sort().values], images[order[:NUM_TEST].sort().values]


def _rows() -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """(1797, 65): 64 grey levels and the digit.

    The file is read where it lies, since importing scikit-learn takes longer than training on it; its own loader is
    asked only where the file has moved.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("the digits need scikit-learn, which is not installed: pip install 'skipstone[train]'")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",", dtype=np.uint8)
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    return np.column_stack([data, target]).astype(np.uint8)
