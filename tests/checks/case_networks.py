"""Small networks as users write them, each with one fault that stops it, and how the fault is told.

`CASES`: name -> (network, input shape with "h" for a size, that size, module that is blamed, rule).
"""

import torch
import torch.nn.functional as F
from torch import nn


class Dilated(nn.Module):
    """A causal convolution whose padding nobody cuts off again."""

    def __init__(self, kernel=3, dilation=2):
        super().__init__()
        self.conv = nn.Conv1d(6, 6, kernel, padding=(kernel - 1) * dilation, dilation=dilation)

    def forward(self, x):
        return F.relu(F.relu(self.conv(x)) + x)


class Ratio(nn.Module):
    """The shortcut's stride is guessed from 34 / 10; the branch's convolutions are not padded."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(4, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 8, 4, padding=1), nn.Conv2d(8, 8, 5))
        self.shortcut = nn.Conv2d(4, 8, 1, stride=3)

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class Deconv(nn.Module):
    """A transposed convolution without output_padding is one short."""

    def __init__(self):
        super().__init__()
        self.enter, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(16, 8, 3, 2, 1), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        skip = F.relu(self.enter(x))
        return self.out(torch.cat((skip, self.up(F.relu(self.down(skip)))), 1))


class Pyramid(nn.Module):
    """Lateral additions of a pyramid whose levels round up; features kept in a dict."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 8), (8, 16), (16, 32)))
        self.lateral = nn.ModuleList(nn.Conv2d(width, 8, 1) for width in (8, 16, 32))

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = F.relu(stage(x))
            maps.append(x)
        y = self.lateral[2](maps[2])
        out = {"2": y}
        for k in (1, 0):
            y = self.lateral[k](maps[k]) + F.interpolate(y, scale_factor=2, mode="nearest")
            out[str(k)] = y
        return out


class WaveNet(nn.Module):
    """Unpadded dilated convolutions in a loop, the stream added at its full length."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv1d(1, 8, 1)
        self.layers = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(3))

    def forward(self, x):
        x = self.enter(x)
        for layer in self.layers:
            x = F.glu(layer(x), 1) + x
        return x


class Folded(nn.Module):
    """Unfold and fold leave out the border that no whole window covers."""

    def __init__(self, window=4):
        super().__init__()
        self.window, self.mix = window, nn.Conv1d(3 * window**2, 3 * window**2, 1)

    def forward(self, x):
        side = x.shape[2] // self.window * self.window
        y = self.mix(F.unfold(x, self.window, stride=self.window))
        return F.fold(y, (side, side), self.window, stride=self.window) + x


class Widening(nn.Module):
    """One line in a loop adds maps of growing width."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(a, b, 3, padding=1) for a, b in ((4, 8), (8, 16)))

    def forward(self, x):
        for conv in self.convs:
            x = F.silu(conv(x)) + x
        return x.mean(-1)


class Shuffled(nn.Module):
    """Pixel shuffle divides the channels by four, which the convolution before it forgot."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)

    def forward(self, x):
        h = self.head(x)
        return F.pixel_shuffle(self.body(h), 2) + F.interpolate(h, scale_factor=2)


class Cell(nn.Module):
    """The gates' convolution is not as wide as input and state together."""

    def __init__(self):
        super().__init__()
        self.gates = nn.Conv2d(8, 32, 3, padding=1)

    def forward(self, x):
        state = memory = x.new_zeros(x.shape[0], 8, *x.shape[2:])
        for _ in range(2):
            i, f, o, g = self.gates(torch.cat([x, state], 1)).chunk(4, 1)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            state = o.sigmoid() * memory.tanh()
        return state


class Decoder(nn.Module):
    """A second LSTM reads the first one's states next to the input."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(8, 16, batch_first=True), nn.LSTM(8, 16, batch_first=True)

    def forward(self, x):
        return self.decoder(torch.cat([self.encoder(x)[0], x], -1))[0]


class Keys(nn.Module):
    """Keys and values of a memory of another width: one fault, two layers."""

    def __init__(self):
        super().__init__()
        self.memory, self.q = nn.Linear(4, 24), nn.Linear(4, 16)
        self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        q, m = self.q(x), self.memory(x)
        return q + (q @ self.k(m).transpose(1, 2)).softmax(-1) @ self.v(m)


class Stacked(nn.Module):
    """A stack where a concatenation was meant."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.next = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.next(torch.stack([self.a(x), self.b(x)], 1))


class Joined(nn.Module):
    """A concatenation along the tokens (of whose making the linear layer behind it complains)."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(32, 8)

    def forward(self, x):
        return x + self.out(torch.cat([F.relu(self.a(x)), F.relu(self.b(x))], dim=1))


class Table(nn.Module):
    """A table of positions without a batch axis, for another length."""

    def __init__(self):
        super().__init__()
        self.embed, self.positions, self.mix = nn.Linear(4, 8), nn.Parameter(torch.randn(16, 8)), nn.Linear(8, 8)

    def forward(self, x):
        x = self.embed(x) + self.positions
        return x + self.mix(x)


class Positions(nn.Module):
    """An embedding of counted positions with fewer rows than there are tokens."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions, self.mix = nn.Linear(4, 16), nn.Embedding(8, 16), nn.Linear(16, 16)

    def forward(self, x):
        x = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        return x + self.mix(x)


class Bias(nn.Module):
    """A relative position bias (heads, places, places) for another window."""

    def __init__(self, places=49):
        super().__init__()
        self.bias, self.qkv = nn.Parameter(torch.zeros(2, places, places)), nn.Linear(8, 24)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (t.reshape(b, n, 2, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) + self.bias
        return x + (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d)


class Pieces(nn.Module):
    """A prelu, a group norm or a layer norm of a fixed size that was not widened behind a concatenation."""

    def __init__(self, piece):
        super().__init__()
        self.a, self.b, self.piece = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1), piece

    def forward(self, x):
        return self.piece(torch.cat([self.a(x), self.b(x)], 1))


class TooDeep(nn.Module):
    """One pooling too many for the map."""

    def __init__(self, depth=5):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8 if i else 3, 8, 3, padding=1) for i in range(depth))

    def forward(self, x):
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return x.mean((2, 3))


class Mirrored(nn.Module):
    """A border wider than the map that is mirrored in it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 9)

    def forward(self, x):
        return x + self.conv(F.pad(x, (4, 4, 4, 4), mode="reflect"))


class Masked(nn.Module):
    """The weights of an attention, which softmax saves, are masked in place."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1)
        weights *= torch.ones_like(weights).tril()
        return x + weights @ self.v(x)


class Gated(nn.Module):
    """A gate is used in a product, which saves it, and then added to in place."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        gate = torch.sigmoid(self.a(x))
        y = gate * self.b(x)
        gate += x
        return y + gate


CASES = {
    "causal padding not cut": (Dilated, (2, 6, "h"), 20, "", "spatial-mismatch"),
    "stride by ratio": (Ratio, (2, 4, "h", "h"), 34, "", "spatial-mismatch"),
    "no output padding": (Deconv, (2, 3, "h", "h"), 16, "", "spatial-mismatch"),
    "odd pyramid": (Pyramid, (2, 3, "h", "h"), 36, "", "spatial-mismatch"),
    "unpadded stream": (WaveNet, (2, 1, "h"), 20, "", "spatial-mismatch"),
    "fold without the tail": (Folded, (2, 3, "h", "h"), 15, "", "spatial-mismatch"),
    "widths in a loop": (Widening, (2, 4, "h"), 20, "", "channel-mismatch"),
    "shuffled channels": (Shuffled, (2, 3, "h", "h"), 8, "", "channel-mismatch"),
    "gates too narrow": (Cell, (2, 3, "h", "h"), 12, "gates", "wrong-width"),
    "recurrent width": (Decoder, (2, "h", 8), 7, "decoder", "wrong-width"),
    "two layers, one fault": (Keys, (2, "h", 4), 6, "k", "wrong-width"),
    "stack for cat": (Stacked, (2, 3, "h", "h"), 8, "", "wrong-width"),
    "joined tokens": (Joined, (2, "h", 8), 10, "", "wrong-width"),
    "table of fewer axes": (Table, (2, "h", 4), 24, "", "fixed-table"),
    "rows for eight positions": (Positions, (2, "h", 4), 12, "positions", "fixed-table"),
    "bias of another window": (Bias, (2, "h", 8), 36, "", "fixed-table"),
    "prelu": (lambda: Pieces(nn.PReLU(8)), (2, 3, "h", "h"), 9, "piece", "wrong-width"),
    "group norm": (lambda: Pieces(nn.GroupNorm(4, 8)), (2, 3, "h", "h"), 9, "piece", "wrong-width"),
    "pooled away": (TooDeep, (2, 3, "h", "h"), 16, "", "too-small"),
    "mirrored border": (Mirrored, (2, 4, "h", "h"), 4, "", "too-small"),
    "softmax masked in place": (Masked, (2, "h", 8), 6, "", "inplace-saved"),
    "sigmoid added to in place": (Gated, (2, 8, "h", "h"), 6, "", "inplace-saved"),
}
