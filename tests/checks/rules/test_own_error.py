"""OwnError"""

from torch import nn

from contract import ErrorContract


class Sized(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        if x.shape[-1] != self.size:
            raise ValueError(f"expected images of {self.size} pixels, got {x.shape[-1]}")
        return x


class TestOwnError(ErrorContract):
    rule = "own-error"
    shape = (2, 3, 9, 9)
    mends = False

    def broken(self):
        return Sized(8)

    def right(self):
        return Sized(9)
