"""Handwritten digits: 1,797 real 8x8 images, shipped inside scikit-learn's wheel.

Source: test set of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak 1998), grey levels 0 to 16.
"""

import torch

from skipstone.data.images import DataError, Images, permutation

NUM_TEST = 450
"""A quarter. scikit-learn ships no split of its own; ours is one fixed shuffle."""

CLASSES = tuple("0123456789")


def load_digits() -> tuple[Images, Images]:
    """(training 1,347 x 1 x 8 x 8, test 450 x 1 x 8 x 8), always the same split."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise DataError(
            "the digits need scikit-learn, which is not installed: pip install 'skipstone[train]'"
        ) from error
    bunch = load()
    pixels = torch.from_numpy(bunch["images"]).to(torch.uint8).unsqueeze(1)
    images = Images(pixels, torch.from_numpy(bunch["target"]).to(torch.int64))
    order = permutation(len(images), seed=0)
    return images[order[NUM_TEST:].sort().values], images[order[:NUM_TEST].sort().values]
