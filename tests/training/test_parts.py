"""The trainer's pure parts: rates, recipes, groups, the overfitting watch, seeds."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skipstone.core.codec import RecordError
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.data import Images, Pixels
from skipstone.runs.environment import changed
from skipstone.runs.recipe_file import named_recipes, read_setup, recipe_path
from skipstone.runs.records import EpochRecord, Recipe, RunSpec
from skipstone.training import fabric, override, read_recipe, train
from skipstone.training.evaluate import evaluate
from skipstone.training.fabric import precision_on
from skipstone.training.optimizer import make_optimizer
from skipstone.training.overfitting import best_epoch, turned_epoch
from skipstone.training.schedule import learning_rate
from skipstone.training.seeding import seeded


def rates(**recipe: object) -> list[float]:
    return [learning_rate(Recipe(lr=1.0, **recipe), step, 10) for step in range(10)]


def test_schedules():
    assert rates(schedule="one-cycle", warmup=0.2) == pytest.approx(
        [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert rates(schedule="constant", warmup=0.0) == [1] * 10
    assert rates(schedule="step", warmup=0.0) == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)
    cosine = rates(schedule="cosine", warmup=0.0)
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.5)
    assert cosine == sorted(cosine, reverse=True)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("total", [1, 2, 7])
def test_no_step_has_rate_zero_or_above_the_peak(schedule, warmup, total):
    recipe = Recipe(lr=1.0, schedule=schedule, warmup=warmup)
    assert all(0 < learning_rate(recipe, step, total) <= 1 for step in range(total))


def test_recipe_files(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('lr = 1\nschedule = "cosine"\n')
    assert read_recipe(path) == Recipe(lr=1.0, schedule="cosine")
    assert read_recipe(path, {"lr": 0.5}) == Recipe(lr=0.5, schedule="cosine")
    assert override(Recipe(clip=1.0), {"lr": 0.5}) == Recipe(lr=0.5, clip=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", r"r\.toml: cannot be read as TOML"),
        ("rate = 1", r"r\.toml: unknown key rate; known: optimizer, lr"),
        ('lr = "big"', r"r\.toml: lr is 'big', expected float"),
        ("batch_size = 1.5", r"r\.toml: batch_size is 1\.5, expected int"),
        ("lr = -1", r"lr is -1\.0, expected a number above 0"),
    ],
)
def test_recipe_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(SkipstoneError, match=message):
        read_recipe(path)


def test_recipe_file_missing(tmp_path):
    with pytest.raises(RecordError, match=r"no\.toml: cannot be read as TOML"):
        read_recipe(tmp_path / "no.toml")


def test_recipes_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named_recipes() == ("fast", "he2015", "huang2016")
    assert all(read_recipe(recipe_path(name)) != Recipe() for name in named_recipes())
    published = read_setup(recipe_path("he2015"))
    assert published["epochs"] == 164
    steps = 164 * (50_000 // 128)
    rates = [learning_rate(published["recipe"], step, steps) for step in range(steps)]
    # 390 whole batches an epoch: 63,960 steps for the paper's 64,000, the rate falling at half and three quarters.
    assert [rates.count(rate) for rate in (0.1, 0.1 * 0.1, 0.1 * 0.01)] == [31_980, 15_990, 15_990]
    with pytest.raises(UnknownNameError, match="unknown recipe 'he2016'; nearest: he2015"):
        recipe_path("he2016")
    (tmp_path / "fast").write_text("lr = 1")
    assert recipe_path("fast") == Path("fast"), "a file of that name is meant"
    assert recipe_path("no.toml") == Path("no.toml"), "told as a missing file, not as an unknown name"


def test_precision_auto_is_what_the_device_computes_in(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (precision_on("cpu", "bf16"), precision_on("cpu", "fp32")) == ("bf16", "fp32")
    for has in (True, False):
        monkeypatch.setattr(fabric, "_cpu_has_bf16", lambda has=has: has)
        assert precision_on("cpu", "auto") == precision_on("auto", "auto") == ("bf16" if has else "fp32")
    assert precision_on("mps", "auto") == "fp32"


def test_flips_are_averaged():
    """A network that answers by the left half alone: with its mirror image it answers by both."""

    class LeftHalf(nn.Module):
        def forward(self, x):
            left = x[..., :2].mean((1, 2, 3))
            return torch.stack([-left, left], 1)

    pixels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    pixels[0, ..., 2:] = 200  # bright on the right: class 1 by both halves, class 0 by the left
    pixels[1, ..., 2:] = 80
    images, plain = Images(pixels, torch.tensor([1, 0])), Pixels(torch.full((1, 1, 1, 1), 60.0), torch.ones(1, 1, 1, 1))
    assert evaluate(LeftHalf(), images, plain)[1] == 0.5
    assert evaluate(LeftHalf(), images, plain, views=2)[1] == 1.0


def test_moved_views_count_half():
    """A network that answers by the first row and column alone."""

    class Corner(nn.Module):
        def forward(self, x):
            logit = x[..., 0, 0].mean(1)
            return torch.stack([logit, -logit], 1)

    levels = torch.randint(0, 256, (40, 1, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, plain = Images(levels, torch.zeros(40, dtype=torch.int64)), Pixels(torch.full((1,), 127.0), torch.ones(1))
    x = (levels.float() - 127)[:, 0]
    # Moved to one corner the first pixel comes twice, and the last but one is first of the mirror image; and so on.
    own, moved = [x[:, 0, 0], x[:, 0, -1]], [x[:, 0, 0], x[:, 0, -2], x[:, 1, 1], x[:, 1, -1]]
    logit = sum(own) / 4 + sum(moved) / 8
    loss, accuracy = evaluate(Corner(), images, plain, views=6)
    assert accuracy == (logit > 0).double().mean()
    assert loss == pytest.approx(torch.nn.functional.softplus(-2 * logit).mean().item(), rel=1e-5)


@pytest.mark.parametrize("views", [2, 6])
def test_what_has_no_mirror_image_is_refused(tmp_path, views):
    (tmp_path / "rows.py").write_text("import torch\nrows = [(torch.zeros(5), i % 2) for i in range(20)]\n"
                                      "def make_data():\n    return rows, rows\n")  # fmt: skip
    spec = RunSpec(model="torch.nn:Linear", options={"in_features": 5, "out_features": 2}, device="cpu",
                   data=f"{tmp_path / 'rows.py'}:make_data", recipe=Recipe(views=views))  # fmt: skip
    with pytest.raises(SkipstoneError, match=rf"views={views} is of images \(C, H, W\), and these inputs are \(5,\)"):
        train(spec)


def test_moved_maps_have_no_labels(tmp_path):
    (tmp_path / "maps.py").write_text("import torch\nmaps = [(torch.zeros(3, 8, 8), torch.zeros(8, 8).long())] * 20\n"
                                      "def make_data():\n    return maps, maps\n")  # fmt: skip
    spec = RunSpec(model="torch.nn:Conv2d", options={"in_channels": 3, "out_channels": 2, "kernel_size": 1},
                   device="cpu", data=f"{tmp_path / 'maps.py'}:make_data", recipe=Recipe(views=6))  # fmt: skip
    with pytest.raises(SkipstoneError, match="views=6 is of images with one label; where each pixel has one, 1 or 2"):
        train(spec)


def test_views_are_one_two_or_six():
    with pytest.raises(SkipstoneError, match=r"views is 3.*1, 2 or 6"):
        Recipe(views=3)


def test_maps_of_flips_are_flipped_back():
    levels = torch.randint(0, 256, (3, 2, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = (levels[:, 1] > levels[:, 0]).long()
    images, plain = Images(levels, labels), Pixels(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    assert evaluate(nn.Identity(), images, plain, views=2)[1] == 1.0


def test_weight_decay_spares_biases_and_norms():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    decayed, spared = make_optimizer(model, Recipe(weight_decay=0.1)).param_groups
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(spared["params"]) == 4
    everything = make_optimizer(model, Recipe(weight_decay=0.1, decayed="all")).param_groups
    assert [group["weight_decay"] for group in everything] == [0.1, 0.1]
    assert isinstance(make_optimizer(model, Recipe(optimizer="adamw")), torch.optim.AdamW)
    with pytest.raises(SkipstoneError, match="ReLU has no trainable parameter: nothing to train"):
        make_optimizer(nn.ReLU(), Recipe())


def history(*val_losses: float) -> list[EpochRecord]:
    base = EpochRecord(1, 1.0, 0.5, 1.0, 0.5, 0.1, 0.0, 1.0, 1.0)
    return [
        replace(base, epoch=i, val_loss=loss, val_accuracy=1 / (1 + loss)) for i, loss in enumerate(val_losses, start=1)
    ]


def test_the_overfitting_watch():
    assert turned_epoch(history(3, 2, 1, 1.005)) is None  # within the tolerance
    assert turned_epoch(history(3, 1, 2, 1.5)) == 2
    assert turned_epoch(history(3, 1, 2, 1.0)) is None  # it came back
    assert turned_epoch(history(3, 1, float("nan"))) == 2
    assert turned_epoch(history(float("nan"), float("nan"))) is None
    assert turned_epoch([]) is None
    assert best_epoch(history(3, 1, 2, 1)).epoch == 2


def test_seeded_gives_the_callers_randomness_back():
    def draw():
        return float(torch.rand(())), random.random(), float(np.random.rand())

    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    alone = [draw(), draw()]
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    between = [draw()]
    inner = []
    for _ in range(2):
        with seeded(5):
            inner.append(draw())
    between.append(draw())
    assert between == alone
    assert inner[0] == inner[1]


def test_changed_environment_is_told():
    assert changed({"threads": 2, "started": "a"}, {"threads": 1, "started": "b"}) == {"threads": [2, 1]}
