"""A layer that some instances of a class need: written into the class by its parameters, made where it is needed."""

import importlib.util

import pytest
import torch

from skipstone.checks import check

HEAD = "import torch\nimport torch.nn as nn\n\n\n"
BASIC = """class Block(nn.Module):
    def __init__(self, in_ch, out_ch, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_ch, out_ch, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(out_ch, out_ch, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(torch.relu(self.conv1(x)))
"""
BOTTLENECK = """class Block(nn.Module):
    expansion = 2

    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        planes = planes // self.expansion
        self.conv1 = nn.Conv2d(inplanes, planes, 1)
        self.conv2 = nn.Conv2d(planes, planes * self.expansion, 3, stride, 1)

    def forward(self, x):
        return self.conv2(self.conv1(x).relu()) + x
"""
IN_A_ROW = """class ConvReLU(nn.Sequential):
    def __init__(self, a, b, s=1):
        super().__init__(nn.Conv2d(a, b, 3, s, 1), nn.ReLU())


class Block(nn.Module):
    def __init__(self, dim, dim_out, stride=1):
        super().__init__()
        self.body = nn.Sequential(ConvReLU(dim, dim_out, stride), ConvReLU(dim_out, dim_out))

    def forward(self, x):
        return self.body(x) + x
"""
FIXED_INSIDE = BASIC.replace("out_ch, stride", "other, stride").replace("out_ch", "(other + 0 * in_ch)")
IN_A_LOOP = """class Block(nn.Module):
    def __init__(self, c, d, stride=1):
        super().__init__()
        rows = []
        for _ in range(2):
            rows.append(nn.Conv2d(c, d, 3, stride, 1))
            c, stride = d, 1
        self.body = nn.Sequential(*rows)

    def forward(self, x):
        return x + self.body(x)
"""
NET = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(8, 8), Block(8, 16, 2), Block(16, 16), Block(16, 32, 2))

    def forward(self, x):
        return self.blocks(x)
"""


@pytest.fixture
def load(tmp_path):
    def loaded(text, name):
        (tmp_path / f"{name}.py").write_text(HEAD + text + NET)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        (BASIC, "nn.Conv2d(in_ch, out_ch, kernel_size=1, stride=stride, bias=False) if in_ch != out_ch or stride != 1"),
        (
            IN_A_ROW,
            "nn.Conv2d(dim, dim_out, kernel_size=1, stride=stride, bias=False) if dim != dim_out or stride != 1",
        ),
        (BOTTLENECK, "nn.Conv2d(inplanes, planes * self.expansion, kernel_size=1, stride=stride, bias=False) if"),
        (FIXED_INSIDE, "nn.Conv2d(in_ch, other + 0 * in_ch, kernel_size=1, stride=stride, bias=False) if"),
    ],
)
def test_the_class_makes_the_layer_where_it_is_needed(load, text, layer):
    network = load(text, "before").Net()
    repair = check(network, (2, 8, 16, 16), sizes=False, run=False).errors[0].repairs[0]
    (change,) = repair.changes()
    after = change.after.decode().removeprefix(HEAD).removesuffix(NET)
    assert layer in after
    mended = load(after, "after")
    for width, stride in ((8, 1), (16, 1), (16, 2), (8, 2)):
        block = mended.Block(8, width, stride)
        size = 8 // stride
        assert block(torch.randn(2, 8, 8, 8)).shape == (2, width, size, size)
        if (width, stride) == (8, 1):
            assert list(block.state_dict()) == list(load(text, "before").Block(8, 8).state_dict())
    assert not check(mended.Net(), (2, 8, 16, 16), run=False).errors


CHANGED_BEHIND = BASIC.replace("padding=1)\n\n", "padding=1)\n        in_ch = 3\n\n")


@pytest.mark.parametrize("text", [CHANGED_BEHIND, IN_A_LOOP])
def test_what_the_constructor_changes_on_its_way_is_not_guessed(load, text):
    network = load(text, "before").Net()
    repair = check(network, (2, 8, 16, 16), sizes=False, run=False).errors[0].repairs[0]
    assert repair.changes() == ()
    assert "skipstone_shortcut" in repair.suggestion
