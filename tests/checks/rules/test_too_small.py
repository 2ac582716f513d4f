"""TooSmall"""

from torch import nn

from contract import ErrorContract


class TestTooSmall(ErrorContract):
    rule = "too-small"
    shape = (2, 3, 9, 9)

    def broken(self):
        return nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(4))

    def right(self):
        return nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(2))
