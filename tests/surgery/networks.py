"""Small networks with skips of every form, and their plain twins written by hand."""

import torch
import torch.nn.functional as F
from torch import nn


def merge(a, b):
    return a + b


class Block(nn.Module):
    """Projection where the shape changes, in-place add, a helper function."""

    def __init__(self, c_in, c, skip=True):
        super().__init__()
        stride = 2 if c_in != c else 1
        self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(c_in, c, 1, stride) if c_in != c else None

    def join(self, out, identity):
        return merge(out, identity)

    def forward(self, x):
        identity = x if self.down is None else self.down(x)
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        if self.down is None:
            out += identity
        else:
            out = self.join(out, identity)
        return self.relu(out)


class PlainBlock(Block):
    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Residual(nn.Module):
    def __init__(self, block=Block):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer = nn.Sequential(block(4, 4), block(4, 8), block(8, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.layer(self.stem(x)).mean((2, 3)))


def plain_residual():
    return Residual(PlainBlock)


class Loop(nn.Module):
    """One line that adds once for each layer."""

    skip = True

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.layers = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + torch.tanh(layer(x)) if self.skip else torch.tanh(layer(x))
        return x.flatten(1)


class PlainLoop(Loop):
    skip = False


class Dense(nn.Module):
    """Concatenations of all features before, read by a norm and a convolution."""

    growth = 3

    def __init__(self, plain=False):
        super().__init__()
        self.plain = plain
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        widths = [4, 3, 3] if plain else [4, 7, 10]
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.convs = nn.ModuleList(nn.Conv2d(w, self.growth, 3, padding=1) for w in widths)
        self.head = nn.Linear((3 if plain else 13) * 4, 5)

    def forward(self, x):
        features = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            new = features[-1] if self.plain or len(features) == 1 else torch.cat(features, 1)
            features.append(conv(F.relu(norm(new))))
        last = features[-1] if self.plain else torch.cat(features, dim=1)
        return self.head(F.adaptive_avg_pool2d(last, 2).flatten(1))


class UNet(nn.Module):
    def __init__(self, plain=False):
        super().__init__()
        self.plain = plain
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 16, 3, padding=1)
        self.up2, self.up1 = nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)
        self.dec2 = nn.Conv2d(8 if plain else 16, 8, 3, padding=1)
        self.dec1 = nn.Conv2d(4 if plain else 8, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def join(self, up, skip):
        return up if self.plain else torch.cat([up, skip], dim=1)

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(self.pool(a)))
        y = F.relu(self.middle(self.pool(b)))
        y = F.relu(self.dec2(self.join(self.up2(y), b)))
        return F.relu(self.dec1(self.join(self.up1(y), a)))


class Transformer(nn.Module):
    """Torch's own encoder layers."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x)


class PlainTransformer(Transformer):
    def forward(self, x):
        for layer in self.encoder.layers:
            x = layer._sa_block(layer.norm1(x), None, None)
            x = layer._ff_block(layer.norm2(x))
        return x


# Network, plain twin, input shape, number of skips.
CASES = {
    "residual": (Residual, plain_residual, (2, 3, 8, 8), 3),
    "loop": (Loop, PlainLoop, (2, 3, 6, 6), 3),
    "dense": (Dense, lambda: Dense(plain=True), (2, 3, 8, 8), 3),
    "unet": (UNet, lambda: UNet(plain=True), (2, 3, 8, 8), 2),
    "transformer": (Transformer, PlainTransformer, (2, 5, 8), 4),
}
