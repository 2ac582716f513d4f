import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.layer3 = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.match = nn.Sequential(nn.Conv2d(16, 64, 1), nn.MaxPool2d(4))
        self.fc = nn.Linear(64 * 4 * 4, 10)

    def forward(self, x):
        one = self.layer1(x)
        three = self.layer3(self.layer2(one))
        return self.fc((three + self.match(one)).flatten(1))


print(Net()(torch.randn(8, 3, 32, 32)).shape)
