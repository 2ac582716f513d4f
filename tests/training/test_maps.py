"""Data with a label for each pixel: trained, resumed, measured a pixel, refused where network or labels do not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from skipstone.core.errors import SkipstoneError
from skipstone.data import DataError, Images, Pixels, load
from skipstone.data.given import collect
from skipstone.runs.records import Recipe, RunSpec, read_run
from skipstone.training import Silent, build_model, train
from skipstone.training.weights import load_weights

DATA = """
    import torch

    def make_data(count=64):
        '''Bright squares on a dark ground: 1 inside, 0 outside.'''
        draw = torch.Generator().manual_seed(0)
        items = []
        for _ in range(count):
            image, label = torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(8, 8, dtype=torch.int64)
            y, x = torch.randint(0, 4, (2,), generator=draw).tolist()
            image[0, y:y + 4, x:x + 4] = 200
            label[y:y + 4, x:x + 4] = 1
            items.append((image + torch.randint(0, 20, (1, 8, 8), dtype=torch.uint8, generator=draw), label))
        return items[: count // 2], items[count // 2 :]
"""


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "squares.py"
    file.write_text("\n".join(line[4:] for line in DATA.splitlines()))
    return RunSpec(
        model="skipstone:unet", options={"width": 4, "levels": 1, "norm": "batch"}, data=f"{file}:make_data", epochs=6,
        device="cpu", out=str(tmp_path / "run"), recipe=Recipe(batch_size=8), flow=False, val_fraction=0.25,
    )  # fmt: skip


def test_a_u_net_learns_pixels_and_accuracy_is_theirs(spec):
    result = train(spec)
    assert result.test_accuracy > 0.9  # three of four pixels are background
    data = load(spec.data, val_fraction=spec.val_fraction)
    assert (data.label_shape, data.num_classes) == ((8, 8), 2)
    model = build_model(spec, data.shape, data.num_classes, data.label_shape)
    load_weights(model, Path(str(spec.out)))
    with torch.no_grad():
        logits = model.eval()(Pixels.of(data.train).normalise(data.test.pixels))
    assert result.test_accuracy == pytest.approx(
        float((logits.argmax(1) == data.test.labels).double().mean()), abs=1e-3
    )
    picked = torch.log_softmax(logits, 1).gather(1, data.test.labels[:, None])
    assert result.test_loss == pytest.approx(-float(picked.mean()), rel=1e-3)
    epochs = read_run(str(spec.out)).epochs
    assert all(0 <= epoch.train_accuracy <= 1 for epoch in epochs)
    assert epochs[0].train_loss < 1.5  # a mean over pixels, not their sum


def test_a_cut_run_of_maps_goes_on_to_the_same_numbers(spec, tmp_path):
    short, cut = replace(spec, epochs=2), replace(spec, epochs=2, out=str(tmp_path / "cut"))

    class StopAfterOne(Silent):
        def finished_epoch(self, record):
            raise KeyboardInterrupt

    train(short)
    with pytest.raises(KeyboardInterrupt):
        train(cut, progress=StopAfterOne())
    train(cut, resume=True)
    whole, resumed = (
        [replace(epoch, seconds=0.0) for epoch in read_run(str(each.out)).epochs] for each in (short, cut)
    )
    assert whole == resumed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"model": "skipstone:resnet8", "options": {"width": 4}},
            r"to \(2, 2\); .* needs logits \(2, 2, 8, 8\), one for",
        ),
        ({"recipe": Recipe(augmentation="crop")}, "augmentation 'crop' moves pixels and not their labels; give none"),
    ],
)
def test_what_does_not_fit_maps_is_a_line(spec, change, words):
    with pytest.raises(SkipstoneError, match=words):
        train(replace(spec, **change))
    assert not Path(str(spec.out)).exists()


PICTURE = torch.zeros(1, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (
            [(PICTURE, torch.zeros(2, 4, dtype=torch.int64))],
            r"shape \(2, 4\), expected a whole number or a map \(4, 4\)",
        ),
        ([(PICTURE, torch.zeros(4, 4))], "its map of labels is torch.float32, expected whole numbers"),
        ([(PICTURE, torch.zeros(4, 4, dtype=torch.bool))], "its map of labels is torch.bool, expected whole numbers"),
        ([(PICTURE, torch.full((4, 4), -1))], "its map has the label -1, expected whole numbers from 0"),
        (
            [(PICTURE, 1), (PICTURE, torch.zeros(4, 4, dtype=torch.int64))],
            r"item 1: its label is a map \(4, 4\), the first",
        ),
        ([(torch.zeros(3), torch.zeros(3, dtype=torch.int64))], r"its label has shape \(3,\), expected a whole number"),
    ],
)
def test_maps_that_are_none(items, words):
    with pytest.raises(DataError, match=words):
        collect(items, "item")


def test_what_a_map_may_be():
    ids = np.arange(16, dtype=np.uint8).reshape(4, 4)
    found = collect([(PICTURE, ids), (PICTURE, torch.from_numpy(ids).int())], "item")
    assert found.labels.dtype == torch.int64
    assert torch.equal(found.labels[0], found.labels[1])
    assert collect([(PICTURE, np.array(3)), (PICTURE, torch.tensor(1))], "item").labels.tolist() == [3, 1]
    with pytest.raises(DataError, match=r"expected int64 \(2,\) or \(2, 4, 4\): one for each image, or pixel"):
        Images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 4, dtype=torch.int64))
