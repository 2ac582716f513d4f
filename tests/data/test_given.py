"""Data of the user's own, out of a function in their file."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from skipstone.core.errors import SkipstoneError
from skipstone.data import DataError, load
from skipstone.data.given import collect
from skipstone.runs.records import Recipe, RunSpec
from skipstone.training import train

MODULE = """
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset


class Stripes(Dataset):
    '''Images whose class is the row that shines; iterated by index it never ends, as many a Dataset.'''

    classes = ["top", "middle", "bottom"]

    def __init__(self, count, size=6):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        label = index % 3
        image = np.random.RandomState(index).randint(0, 60, (self.size, self.size, 3)).astype(np.uint8)
        image[2 * label : 2 * label + 2] += 150
        return image, label


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(4), 0
        raise OSError("the line is dead")


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(5, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 36, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))


def images(size=6):
    return Stripes(90, size), Stripes(30, size)


def sequences():
    torch.manual_seed(0)
    x = torch.randn(300, 7, 5)
    y = (x.sum((1, 2)) > 0).long()
    return TensorDataset(x[:200], y[:200]), TensorDataset(x[200:250], y[200:250]), TensorDataset(x[250:], y[250:])


def one():
    return Stripes(3)


def raises():
    raise FileNotFoundError("no pictures here")


def dies():
    return Endless(), Endless()


def uneven():
    return Stripes(6), Stripes(6, size=8)


constant = 3
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "own.py").write_text(textwrap.dedent(MODULE))
    return f"{tmp_path / 'own.py'}"


def test_a_dataset_of_images(module):
    splits = load(f"{module}:images(size=6)", val_fraction=0.2)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [72, 18, 30]
    assert splits.shape == (3, 6, 6)
    assert splits.classes == ("top", "middle", "bottom")
    assert splits.test.pixels[1, :, 2:4].min() >= 150, "height, width, channels as NumPy has them"
    assert splits.test.labels[:4].tolist() == [0, 1, 2, 0]
    assert load(f"{module}:images").digest() == load(f"{module}:images()").digest()


def test_a_network_learns_them_and_resumes(module, tmp_path):
    spec = RunSpec(
        model=f"{module}:Rows", data=f"{module}:images", epochs=6, device="cpu", out=str(tmp_path / "x"),
        recipe=Recipe(batch_size=16, augmentation="none"),
    )  # fmt: skip
    assert train(spec).test_accuracy > 0.9
    assert train(spec, resume=True).test_accuracy > 0.9


def test_inputs_of_any_shape(module):
    splits = load(f"{module}:sequences")
    assert splits.shape == (7, 5)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [200, 50, 50]
    spec = RunSpec(
        model=f"{module}:Sequences", data=f"{module}:sequences", epochs=12, device="cpu",
        recipe=Recipe(batch_size=16, optimizer="adamw", lr=0.01, schedule="constant", warmup=0.0),
    )  # fmt: skip
    assert train(spec).test_accuracy > 0.75
    with pytest.raises(DataError, match=r"augmentation 'crop' is of images \(C, H, W\), and these inputs are \(7, 5\)"):
        train(replace(spec, recipe=replace(spec.recipe, augmentation="crop")))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("image", "unknown function 'image'; nearest: images"),
        ("constant", "constant is int, expected a function that returns datasets"),
        ("Stripes(3)", "Stripes is type, expected a function that returns datasets"),
        ("one", r"returned Stripes, expected \(training, test\) or \(training, val, test\)"),
        ("raises", "raised FileNotFoundError: no pictures here"),
        ("dies", "training items: reading them raised OSError: the line is dead"),
        ("uneven", r"the parts differ: \(3, 6, 6\) torch.uint8 and \(3, 8, 8\) torch.uint8"),
    ],
)
def test_functions_that_give_no_data(module, name, message):
    with pytest.raises(SkipstoneError, match=message):
        load(f"{module}:{name}")


def test_nothing_but_a_function_of_a_file_is_called():
    with pytest.raises(SkipstoneError, match=r"unknown data set 'os:getcwd'; .*file\.py:make_data"):
        load("os:getcwd")


class Items(Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "test items: there are none"),
        ([3], r"test item 0 is int, expected a pair \(input, label\)"),
        ([(torch.zeros(3), 1), (torch.zeros(4), 1)], r"test item 1 is \(4,\) torch.float32, the first one \(3,\)"),
        ([(torch.zeros(3), 1.5)], r"test item 0: its label is 1\.5, expected a whole number from 0"),
        ([(torch.zeros(3), -1)], r"test item 0: its label is -1, expected"),
        ([(torch.zeros(3), True)], r"its label is True, expected"),
        ([(torch.zeros(3, dtype=torch.int64), 0)], r"its input is torch.int64, expected uint8 pixels or floats"),
        ([("a.png", 0)], "its input is str, expected a tensor"),
        ([(None, 0)], "its input is NoneType, expected a tensor, an array or an image"),
    ],
)
def test_items_that_are_none(items, message):
    with pytest.raises(DataError, match=message):
        collect(Items(*items), "test item")


def test_what_items_may_be():
    grey = collect(Items((np.zeros((4, 5), np.uint8), np.int64(2)), (np.ones((4, 5), np.uint8), torch.tensor(1))), "x")
    assert grey.shape == (1, 4, 5)
    assert grey.labels.tolist() == [2, 1]
    assert collect(TensorDataset(torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2).long()), "x").shape == (3,)
