"""The tutorials' code as plain scripts, with their own calls at the end: no target, no input, the right finding."""

import subprocess
from pathlib import Path

import pytest

from skipstone import explain

SCRIPTS = Path(__file__).parent / "tutorials"


def error_of(script: str | Path) -> BaseException | None:
    """What the script raises when it runs as a program."""
    path = SCRIPTS / script
    try:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__"})
    except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
        return error
    return None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "skip_connections_blog.py",
            ["ResidualBlock, called at skip_connections_blog.py:20", "cannot add 11x11 to 32x32"],
        ),
        ("skip_connections_blog.py", ["conv1: Conv2d(k2, s2, p2)", "legal sizes: 3 and 4 only"]),
        ("cifar_network.py", ["fc1 is made for 2048 features and meets 8192", "legal sizes: 16 and 17 only"]),
        ("resnet_block.py", ["cannot add 128 channels to 64 channels", "self.skipstone_shortcut"]),
    ],
)
def test_the_broken_ones_are_explained(name, words):
    error = error_of(name)
    assert error is not None
    text = str(explain(error))
    for word in words:
        assert word in text


def test_the_keras_block_is_explained_while_it_is_built(keras):
    error = error_of("keras_block.py")
    assert error is not None
    text = str(explain(error))
    assert "at keras_block.py:9" in text
    assert "cannot add 128 channels to 64 channels" in text
    assert "keras.layers.Conv2D(128, 1)" in text


def test_the_right_one_runs(capsys):
    assert error_of("layer_one_to_three.py") is None
    assert capsys.readouterr().out == "torch.Size([8, 10])\n"


def test_the_diff_under_the_traceback_mends_the_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "resnet_block.py"
    script.write_text((SCRIPTS / "resnet_block.py").read_text())
    error = error_of(script)
    assert error is not None
    explanation = explain(error)
    assert explanation is not None
    assert explanation.diff is not None
    subprocess.run(["git", "apply"], input=explanation.diff, text=True, cwd=tmp_path, check=True)
    mended = script.read_text()
    script.write_text(mended.replace("print(ResNetBlock(64, 64)(torch.randn(1, 64, 32, 32)).shape)\n", ""))
    assert error_of(script) is None
