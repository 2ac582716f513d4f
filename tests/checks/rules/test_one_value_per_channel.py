"""OneValuePerChannel"""

from torch import nn

from contract import ErrorContract


class TestOneValuePerChannel(ErrorContract):
    rule = "one-value-per-channel"
    shape = (1, 3, 9, 9)

    def broken(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))

    def right(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(3))
