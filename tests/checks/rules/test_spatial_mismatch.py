"""SpatialMismatch"""

from torch import nn

from contract import ErrorContract
from networks import Residual, conv


class TestSpatialMismatch(ErrorContract):
    rule = "spatial-mismatch"
    shape = (2, 3, 9, 9)

    def broken(self):
        return Residual(conv(3, 3, stride=2), nn.AvgPool2d(2))

    def right(self):
        return Residual(conv(3, 3, stride=2), nn.AvgPool2d(2, ceil_mode=True))
