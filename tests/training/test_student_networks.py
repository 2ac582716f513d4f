"""Right networks as people write them go through `train` to the end, without a note; the tutorials' mended ones too."""

from pathlib import Path

import pytest

from skipstone.runs.records import Recipe, RunSpec
from skipstone.training import train

FILE = Path(__file__).parents[1] / "support" / "student_networks.py"
QUICK = ("View", "TinyViT", "LSTMOnRows")
NETWORKS = (
    "View ViewOfOneSize Reshape LogSoftmax sequential_of_blocks ModuleLists LSTMOnRows TinyViT Perceptron"
    " UNetOfAClassifier Attended two_conv_residual resnet_block deep_cnn layer_one_to_three finished_cnn keras_block"
).split()


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS])
def test_it_trains_to_the_end_and_says_nothing(name, tmp_path, capsys, request):
    if name == "keras_block":
        request.getfixturevalue("keras")
    recipe = Recipe(lr=0.01, batch_size=16)
    spec = RunSpec(
        model=f"{FILE}:{name}", data=f"{FILE}:make_data", epochs=1, recipe=recipe, out=str(tmp_path / "run"), flow=False
    )
    result = train(spec)
    assert result.finite
    assert result.epochs == 1
    said = capsys.readouterr().err
    assert "checker" not in said
    assert "bit-equal" not in said
