"""Lines that build a functional Keras model, rewritten: the text alone, Keras is not needed."""

import ast

import pytest

from skipstone.core.graph import Place
from skipstone.surgery.source.expressions import UncertainError
from skipstone.surgery.source.symbolic import is_merge, keep_size, project

CONV, STRIDED = {"filters": 8, "kernel_size": 1}, {"filters": 8, "kernel_size": 1, "strides": 2}
FUNCTION = """from keras import layers

def block(x, filters):
    shortcut = x
    x = layers.Conv2D(filters, 3)(x)
    x = layers.Add()([x, shortcut])
    return x
"""


def place_of(path, text: str, call: str) -> Place:
    """Where a call stands in a file."""
    path.write_text(text)
    node = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.expr) and ast.unparse(n) == call)
    return Place(str(path), node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0, "")


def added(path, text: str, call: str, operand: int, given=CONV) -> list[str]:
    """The lines that are new after the projection of an operand."""
    change = project(place_of(path, text, call), operand, 2, "Conv2D", given).change()
    return [line for line in change.after.decode().splitlines() if line not in change.before.decode().splitlines()]


def test_a_function_may_run_for_many_blocks(tmp_path):
    assert added(tmp_path / "net.py", FUNCTION, "layers.Add()([x, shortcut])", 1) == [
        "    if shortcut.shape[-1] != x.shape[-1]:",
        "        shortcut = layers.Conv2D(x.shape[-1], 1)(shortcut)",
    ]


def test_a_name_that_is_read_later_stays(tmp_path):
    text = FUNCTION.replace("return x", "return layers.Concatenate()([x, shortcut])")
    assert added(tmp_path / "net.py", text, "layers.Add()([x, shortcut])", 1, STRIDED) == [
        "    x = layers.Add()([x, layers.Conv2D(x.shape[-1], 1, strides=2)(shortcut) "
        "if shortcut.shape[1:] != x.shape[1:] else shortcut])"
    ]


ONCE = [
    ("import keras\nm = keras.layers.add([a, b])\n", "m = keras.layers.add([a, keras.layers.Conv2D(8, 1)(b)])"),
    ("from keras import layers as L\nm = a + f(b)\n", "m = a + L.Conv2D(8, 1)(f(b))"),
    ("from tensorflow.keras.layers import Add, Conv2D\nm = Add()((a, b))\n", "m = Add()((a, Conv2D(8, 1)(b)))"),
]


@pytest.mark.parametrize(("text", "expected"), ONCE)
def test_a_line_that_runs_once(tmp_path, text, expected):
    call = text.splitlines()[1].removeprefix("m = ")
    assert added(tmp_path / "net.py", text, call, 1) == [expected]


@pytest.mark.parametrize(
    ("text", "call", "words"),
    [
        ("from keras import layers\nlayers.Add()(pair)\n", "layers.Add()(pair)", "does not show its two operands"),
        ("from keras.layers import Add\nAdd()([a, b])\n", "Add()([a, b])", "does not import keras.layers"),
        (FUNCTION.replace("[x, shortcut]", "[f(x), shortcut]"), "layers.Add()([f(x), shortcut])", "have no names"),
    ],
)
def test_what_the_line_does_not_show_is_refused(tmp_path, text, call, words):
    with pytest.raises(UncertainError, match=words):
        project(place_of(tmp_path / "net.py", text, call), 1, 2, "Conv2D", CONV)


def test_layers_keep_the_size_where_they_are_made(tmp_path):
    path = tmp_path / "net.py"
    text = 'import keras\nfrom keras.layers import Conv2D\nx = Conv2D(8, 3, padding="valid")(x)\ny = held(x)\n'
    change = keep_size([place_of(path, text, "Conv2D(8, 3, padding='valid')(x)")]).change()
    assert "x = Conv2D(8, 3, padding='same')(x)" in change.after.decode()
    with pytest.raises(UncertainError, match="does not make the layer that it calls"):
        keep_size([place_of(path, text, "held(x)")])


def test_which_lines_merge(tmp_path):
    path = tmp_path / "net.py"
    assert is_merge(place_of(path, FUNCTION, "layers.Add()([x, shortcut])"))
    assert not is_merge(place_of(path, FUNCTION, "layers.Conv2D(filters, 3)(x)"))
    assert not is_merge(place_of(path, "from other import Add\nAdd()([a, b])\n", "Add()([a, b])"))
