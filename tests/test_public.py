"""The package's public surface: every name imports, lazily, and the table agrees with what type checkers are told."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skipstone


@pytest.mark.parametrize("name", skipstone.__all__)
def test_every_name_is_there_and_documented(name):
    value = getattr(skipstone, name)
    assert isinstance(value, str) or value.__doc__


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(skipstone.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == {**skipstone._EXPORTS, **dict.fromkeys(skipstone._PACKAGES, "skipstone")}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        _ = skipstone.chekc


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, skipstone; dir(skipstone); assert not {'torch', 'numpy', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
