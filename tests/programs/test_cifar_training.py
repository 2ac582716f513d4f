"""A real training under the watch: two epochs on CIFAR-10, equal to the bit to those under Python alone."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 2


def images(*names):
    files = [np.fromfile(os.path.join(sys.argv[1], name), np.uint8) for name in names]
    rows = torch.from_numpy(np.concatenate(files)).view(-1, 3073)
    return TensorDataset(rows[:, 1:].view(-1, 3, 32, 32) / 255, rows[:, 0].long())


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.na, self.nb = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
    def forward(self, x):
        return F.relu(x + self.nb(self.b(F.relu(self.na(self.a(x))))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Sequential(Block(8), Block(8))
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(8, 10)
    def forward(self, x):
        return self.head(self.drop(self.blocks(F.relu(self.stem(x))).mean((2, 3))))

torch.manual_seed(0)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
train = DataLoader(images(*[f"data_batch_{i}.bin" for i in (1, 2)]), batch_size=128, shuffle=True)
test = DataLoader(images("test_batch.bin"), batch_size=500)
for epoch in range(EPOCHS):
    net.train()
    for x, y in train:
        if torch.rand(()) < 0.5:
            x = x.flip(3)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        digest = loss.item().hex()
    net.eval()
    with torch.no_grad():
        right = sum((net(x).argmax(1) == y).sum().item() for x, y in test)
    print(epoch, digest, right, flush=True)
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in net.state_dict().values())).hexdigest())
"""


@pytest.mark.slow
def test_two_epochs_of_cifar_10_are_bit_equal(tmp_path):
    """Some 16 CPU seconds each, on two of the five files."""
    folder = os.environ.get("SKIPSTONE_CIFAR10")
    if not folder:
        pytest.skip("SKIPSTONE_CIFAR10 names no folder")
    (tmp_path / "train.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    outputs = [
        subprocess.run(
            [sys.executable, *flags, "train.py", folder],
            cwd=tmp_path, capture_output=True, text=True, env=environment, check=True,
        ).stdout
        for flags in ((), ("-m", "skipstone", "run", "--check"))
    ]  # fmt: skip
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("0 0x")
