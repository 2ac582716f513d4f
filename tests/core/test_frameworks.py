"""A program for TensorFlow: one line on what to change, and the change is right."""

import linecache
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from skipstone.core.frameworks import advice, other_backend

SCRIPT = Path(__file__).parents[1] / "programs" / "tutorials" / "tensorflow_block.py"


def advised(line: str) -> str:
    source = f"\n{line}\n"
    path = f"{line}.py"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    with pytest.raises(ModuleNotFoundError) as caught:
        exec(compile(source, path, "exec"), {})
    return advice(caught.value)


@pytest.mark.skipif("tensorflow" in sys.modules, reason="TensorFlow is here")
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("from tensorflow.keras import layers, models", "`from keras import layers, models`"),
        ("from tensorflow.keras.layers import Conv2D", "`from keras.layers import Conv2D`"),
        ("from tensorflow import keras", "`import keras`"),
        ("import tensorflow.keras as k", "`import keras as k`"),
        ("import tensorflow as tf", "`import keras`, and keras for tf.keras below it"),
    ],
)
def test_the_line_to_change_is_written_as_it_would_be_right(line, instead):
    words = advised(line)
    assert f"in line 2 write {instead}" in words
    assert "set KERAS_BACKEND=torch" in words


def test_other_modules_that_are_missing_are_not_ours():
    assert advised("import no_such_module_here") == ""
    assert advice(ValueError("tensorflow")) == ""


def test_keras_on_something_else_is_told():
    def module(name):
        return SimpleNamespace(backend=SimpleNamespace(backend=lambda: name))

    assert other_backend(module("torch")) == ""
    assert "Keras runs on jax here" in other_backend(module("jax"))


@pytest.mark.slow
def test_the_tutorials_snippet_is_told_what_to_change_and_then_explained(tmp_path):
    script = tmp_path / "block.py"
    script.write_text(SCRIPT.read_text())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("KERAS_BACKEND", None)

    def said(*command, **more):
        ended = subprocess.run(
            [sys.executable, "-m", "skipstone", *command], cwd=tmp_path, capture_output=True, text=True,
            env={**environment, **more}, timeout=300,
        )  # fmt: skip
        return ended.returncode, ended.stderr

    told = "in line 1 write `from keras import layers`, and set KERAS_BACKEND=torch"
    status, text = said("run", "block.py")
    assert status == 1
    assert text.count(told) == 1
    status, text = said("check", "block.py")
    assert status == 2
    assert told in text
    script.write_text(script.read_text().replace("from tensorflow.keras", "from keras"))
    assert "set KERAS_BACKEND=torch" in said("run", "block.py")[1]
    assert "cannot add 128 channels to 64 channels" in said("run", "block.py", KERAS_BACKEND="torch")[1]
