"""InplaceSaved"""

from torch import nn

from contract import ErrorContract


class Inplace(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 3, 3, padding=1), last

    def forward(self, x):
        y = self.last(self.conv(x))
        y += x
        return y


class TestInplaceSaved(ErrorContract):
    rule = "inplace-saved"
    shape = (2, 3, 9, 9)

    def broken(self):
        return Inplace(nn.ReLU())

    def right(self):
        return Inplace(nn.BatchNorm2d(3))
