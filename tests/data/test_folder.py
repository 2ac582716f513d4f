"""A folder of pictures as data."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from skipstone.data import DataError, load
from skipstone.runs.records import Recipe, RunSpec
from skipstone.training import train


def put(path, size=(8, 6), mode="RGB", value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


@pytest.fixture
def pictures(tmp_path):
    """Ten red and ten black pictures, 8 wide and 6 high, and what else lies about in folders."""
    root = tmp_path / "pictures"
    for number in range(10):
        put(root / "red" / f"{number}.png", value=200)
        put(root / "black" / "more" / f"{number}.JPG")
    (root / "red" / "Thumbs.db").write_bytes(b"x")
    (root / ".cache").mkdir()
    return root


def test_a_folder_a_class_with_a_fifth_held_out(pictures):
    data = load(f"folder:{pictures}", val_fraction=0.25)
    assert data.classes == ("black", "red")
    assert data.shape == (3, 6, 8)
    assert [len(part) for part in (data.train, data.val, data.test)] == [12, 4, 4]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    for part in (data.train, data.val, data.test):
        assert torch.equal(part.pixels[:, 0].float().mean((1, 2)) > 100, part.labels == 1)
    assert torch.equal(load(f"folder:{pictures}").test.pixels, data.test.pixels)


def test_training_validation_and_test_folders(tmp_path):
    for part, count in (("train", 4), ("valid", 2), ("test", 1)):
        for name, value in (("dark", 10), ("light", 240)):
            for number in range(count):
                put(tmp_path / part / name / f"{number}.png", mode="L", value=value)
    data = load(f"folder:{tmp_path}")
    assert [len(part) for part in (data.train, data.val, data.test)] == [8, 4, 2]
    assert data.shape == (1, 6, 8)
    assert data.test.pixels[:, 0, 0, 0].tolist() == [10, 240]


def test_one_size_for_all_keeps_the_middle(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    for name in ("a", "b"):
        for number in range(3):
            put(tmp_path / name / f"{number}.png", size=(12, 12))
        Image.fromarray(wide).save(tmp_path / name / "wide.png")
    with pytest.raises(
        DataError, match=r"wide.png has 30x10 pixels, .*12x12: give one size for all, as in --data folder:.*@64"
    ):
        load(f"folder:{tmp_path}")
    data = load(f"folder:{tmp_path}@10")
    assert data.shape == (3, 10, 10)
    found = torch.cat([data.train.pixels, data.val.pixels, data.test.pixels])
    assert sorted({int(p.float().mean()) for p in found}) == [0, 255]


def test_what_is_no_folder_of_pictures(tmp_path, pictures, monkeypatch):
    def refused(name):
        with pytest.raises(DataError) as caught:
            load(name)
        return str(caught.value)

    assert "there is no folder 'nowhere' of pictures" in refused("folder:nowhere")
    assert "there is no folder '' of pictures" in refused("folder:")
    (tmp_path / "empty").mkdir()
    assert "expected one for each class" in refused(f"folder:{tmp_path / 'empty'}")
    (tmp_path / "empty" / "cat").mkdir()
    assert "there are no pictures" in refused(f"folder:{tmp_path / 'empty'}")
    put(tmp_path / "parts" / "train" / "cat" / "1.png")
    put(tmp_path / "parts" / "test" / "dog" / "1.png")
    assert "dog is a class that the training pictures lack: cat" in refused(f"folder:{tmp_path / 'parts'}")
    (pictures / "red" / "3.png").write_bytes(b"no picture")
    assert "3.png cannot be read as a picture" in refused(f"folder:{pictures}")
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install pillow" in refused(f"folder:{pictures}")


def test_a_network_learns_them(pictures, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2))\n"
    )
    recipe = Recipe(lr=0.1, batch_size=4)
    spec = RunSpec(model=f"{tmp_path / 'net.py'}:net", data=f"folder:{pictures}", epochs=4, recipe=recipe)
    assert train(spec).test_accuracy == 1.0
