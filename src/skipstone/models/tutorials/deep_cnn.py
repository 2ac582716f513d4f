"""A convolution, a pooling and a linear layer that was told the wrong number of features.

conv 3 -> 32, batch norm, ReLU and a 2x2 pooling make (N, 32, 16, 16) of a 32x32 image: 8,192 features. The linear layer
expects 32·8·8 = 2,048, the size after two poolings; there is one.
"""

from torch import Tensor, nn


class DeepCNN(nn.Module):
    """Broken on 32x32 images: only sizes 16 and 17 give 2,048 features. (N, 3, H, W) to logits (N, num_classes)."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 8 * 8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = x.view(x.size(0), -1)
        logits: Tensor = self.fc(x)
        return logits


class DeepCNNRepaired(nn.Module):
    """The repair: the linear layer expects the 32·16·16 = 8,192 features it meets. (N, 3, 32, 32) to logits."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 16 * 16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = x.view(x.size(0), -1)
        logits: Tensor = self.fc(x)
        return logits
