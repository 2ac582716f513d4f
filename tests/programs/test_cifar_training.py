"""A real training under the watch: two epochs of CIFAR-10, equal to the bit to those under Python alone."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skipstone.data.cifar import load_cifar10


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.na, self.nb = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.nb(self.b(F.relu(self.na(self.a(x))))))
