"""Networks as people learning write them, all of them right: images (N, 3, 32, 32) to 3 classes; and their data."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset


def make_data(count: int = 48):
    """Noise with a brighter channel: its number is the class."""
    torch.manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.randn(count, 3, 32, 32)
    images[torch.arange(count), labels] += 2.0
    return TensorDataset(images, labels), TensorDataset(images[:12], labels[:12])


class View(nn.Module):
    """`x.view(x.size(0), -1)` behind convolutions and pools."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1, self.fc2 = nn.Linear(16 * 5 * 5, 32), nn.Linear(32, 3)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(x.size(0), -1)
        return self.fc2(F.relu(self.fc1(x)))


class ViewOfOneSize(View):
    """`x.view(-1, 400)`."""

    def forward(self, x):
        x = self.pool(F.relu(self.conv2(self.pool(F.relu(self.conv1(x))))))
        return self.fc2(F.relu(self.fc1(x.view(-1, 16 * 5 * 5))))


class Reshape(View):
    """`torch.reshape`, and the batch asked of the shape."""

    def forward(self, x):
        batch = x.shape[0]
        x = self.pool(F.relu(self.conv2(self.pool(F.relu(self.conv1(x))))))
        return self.fc2(torch.relu(self.fc1(torch.reshape(x, (batch, -1)))))


class LogSoftmax(nn.Module):
    """PyTorch's own first example: dropout2d, functional dropout with `self.training`, log_softmax at the end."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 10, 5), nn.Conv2d(10, 20, 5)
        self.drop = nn.Dropout2d()
        self.fc1, self.fc2 = nn.Linear(500, 50), nn.Linear(50, 3)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.drop(self.conv2(x)), 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class Block(nn.Module):
    """A residual block with a projection where it is needed."""

    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


def sequential_of_blocks():
    """A Sequential of blocks, and nothing else."""
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    blocks = nn.Sequential(Block(8, 8), Block(8, 16, 2), Block(16, 16))
    return nn.Sequential(stem, blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))


class ModuleLists(nn.Module):
    """Layers in a ModuleList and a ModuleDict, a loop over them, a mean over both axes."""

    def __init__(self, depth=3):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList([Block(8, 8) for _ in range(depth)])
        self.heads = nn.ModuleDict({"main": nn.Linear(8, 3)})

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.heads["main"](x.mean(dim=[2, 3]))


class LSTMOnRows(nn.Module):
    """The rows of an image as a sequence, with states made in forward."""

    def __init__(self, hidden=16):
        super().__init__()
        self.hidden = hidden
        self.lstm = nn.LSTM(3 * 32, hidden, 2, batch_first=True)
        self.fc = nn.Linear(hidden, 3)

    def forward(self, x):
        x = x.permute(0, 2, 1, 3).reshape(x.size(0), 32, -1)
        h0 = torch.zeros(2, x.size(0), self.hidden, device=x.device)
        out, _ = self.lstm(x, (h0, torch.zeros_like(h0)))
        return self.fc(out[:, -1, :])


class TinyViT(nn.Module):
    """Patches by a convolution, a class token, an encoder of torch's."""

    def __init__(self, dim=16, patch=8):
        super().__init__()
        self.patches = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, 17, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(dim, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], dim=1) + self.position
        return self.head(self.encoder(x)[:, 0])


class Perceptron(nn.Module):
    """The image as one long row, a skip over two layers, `squeeze` where it does no harm."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.first, self.second, self.third = nn.Linear(3072, 32), nn.Linear(32, 32), nn.Linear(32, 3)

    def forward(self, x):
        x = torch.relu(self.first(self.flatten(x)))
        return self.third(x + torch.relu(self.second(x)))


class UNetOfAClassifier(nn.Module):
    """Down, up and a concatenation, then a mean."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Conv2d(16, 3, 1)

    def forward(self, x):
        first = F.relu(self.down1(x))
        second = F.relu(self.down2(F.max_pool2d(first, 2)))
        return self.out(torch.cat([first, self.up(second)], 1)).mean((-2, -1))


class Attended(nn.Module):
    """Squeeze-and-excitation with einsum, GroupNorm, SiLU, weights shared by two calls."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.GroupNorm(2, 8)
        self.conv = nn.Conv2d(8, 8, 3, padding="same")
        self.gate = nn.Sequential(nn.Linear(8, 4), nn.SiLU(), nn.Linear(4, 8), nn.Sigmoid())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(self.stem(x))
        for _ in range(2):
            y = F.silu(self.conv(x))
            x = x + torch.einsum("bchw,bc->bchw", y, self.gate(y.mean((2, 3))))
        return self.head(x.amax((2, 3)))


def with_head(block, channels):
    """A tutorial's block as a classifier."""
    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))


def two_conv_residual():
    from skipstone.models.tutorials import TwoConvResidualRepaired

    return with_head(TwoConvResidualRepaired(), 3)


def resnet_block():
    from skipstone.models.tutorials import ResNetBlockRepaired

    return with_head(ResNetBlockRepaired(3, 16), 16)


def deep_cnn():
    from skipstone.models.tutorials import DeepCNNRepaired

    return DeepCNNRepaired(3)


def layer_one_to_three():
    from skipstone.models.tutorials import LayerOneToThree

    return LayerOneToThree(num_classes=3)


def finished_cnn():
    from skipstone.models.tutorials import FinishedCNN

    return FinishedCNN(num_classes=3)


def keras_block():
    """The third tutorial's block, mended: channels last, so the image is turned first."""
    from skipstone.models.tutorials.keras_block import keras_residual_block

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.head = keras_residual_block(3, in_channels=3, size=32), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.block(x.permute(0, 2, 3, 1)).mean((1, 2)))

    return Turned()
