"""Labelled images, whole sets in memory: digits, CIFAR-10, CIFAR-100; splits, batches, augmentation."""

from skipstone.data.batches import Batches, Pixels
from skipstone.data.images import DataError, Images, Splits
from skipstone.data.sources import load, names

__all__ = ["Batches", "DataError", "Images", "Pixels", "Splits", "load", "names"]
