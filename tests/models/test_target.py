"""Targets: every form that builds, every mistake with its own words, and an interpreter left as it was."""

import pickle
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.models.importing import TargetError
from skipstone.models.target import outline, parse_target, resolve

NETWORKS = """
from dataclasses import dataclass

import torch
from torch import nn

import layers_beside

print("importing")


@dataclass
class Options:
    width: "int" = 4


class Block(nn.Module):
    def __init__(self, c_in, c_out=8, stride=1):
        super().__init__()
        from lazily_beside import KERNEL

        self.conv = layers_beside.conv(c_in, c_out, stride, KERNEL)

    def forward(self, x):
        return self.conv(x)

    class Inner(nn.Linear):
        pass


def factory(width):
    return nn.Linear(width, width)


def not_a_module():
    return [1, 2]


def leaves():
    raise SystemExit("usage: no")


ready = nn.Linear(3, 3)
number = 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "layers_beside.py").write_text(
        "from torch import nn\ndef conv(i, o, s, k):\n    return nn.Conv2d(i, o, k, s)\n"
    )
    (tmp_path / "lazily_beside.py").write_text("KERNEL = 3\n")
    path = tmp_path / "net.py"
    path.write_text(NETWORKS)
    return path


def test_a_class_of_a_file_with_arguments(file: Path) -> None:
    block = resolve(f"{file}:Block(3, c_out=16, stride=2)")
    assert isinstance(block.conv, nn.Conv2d)
    assert block.conv.weight.shape == (16, 3, 3, 3)
    assert block.conv.stride == (2, 2)


def test_options_join_the_arguments(file: Path) -> None:
    assert resolve(f"{file}:Block", c_in=5).conv.in_channels == 5


@pytest.mark.parametrize("name", ["factory(3)", "ready", "Block.Inner(3, 3)"])
def test_other_things_a_file_may_hold(file: Path, name: str) -> None:
    assert isinstance(resolve(f"{file}:{name}"), nn.Linear)


def test_nothing_is_left_behind_but_the_module_itself(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, modules = list(sys.path), set(sys.modules)
    block = resolve(f"{file}:Block(3)")
    left = set(sys.modules) - modules
    assert sys.path == path
    assert left == {type(block).__module__}
    assert isinstance(pickle.loads(pickle.dumps(block)), type(block))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "importing\n")


def test_two_revisions_of_one_file(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "sizes_beside.py").write_text(f"WIDTH = {number}\n")
        (folder / "net.py").write_text(
            "from torch import nn\nfrom sizes_beside import WIDTH\ndef net():\n    return nn.Linear(WIDTH, 1)\n"
        )
    assert [resolve(f"{tmp_path}/{n}/net.py:net").in_features for n in (1, 2)] == [1, 2]


def test_a_file_inside_a_package(tmp_path: Path) -> None:
    package = tmp_path / "pack_a" / "sub"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package.parent / "sizes.py").write_text("WIDTH = 6\n")
    (package / "net.py").write_text(
        "from torch import nn\nfrom ..sizes import WIDTH\ndef net():\n    return nn.Linear(WIDTH, 1)\n"
    )
    assert resolve(f"{package}/net.py:net").in_features == 6


def test_a_module_by_its_dotted_name() -> None:
    assert isinstance(resolve("torch.nn:Conv2d(3, 8, 3)"), nn.Conv2d)


def test_our_own_networks_with_and_without_weights() -> None:
    assert next(resolve("skipstone:resnet20").parameters()).device.type == "cpu"
    assert next(outline("skipstone:resnet20(num_classes=3)").parameters()).device.type == "meta"
    with torch.device("cpu"):
        assert next(outline("torch.nn:Linear(2, 2)").parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{file}:Blok", "unknown name 'Blok'; nearest: Block"),
        ("{file}:Block", "Block raised TypeError: Block.__init__() missing 1 required positional argument: 'c_in'"),
        ("{file}:Block('a')", "Block raised TypeError"),
        ("{file}:Block(width)", "argument 'width' is no literal"),
        ("{file}:Block(__import__('os').getcwd())", "is no literal; nothing typed here is evaluated"),
        ("{file}:Block(**{{'c_in': 3}})", "'**' cannot stand in a target"),
        ("{file}:Block(3", "'Block(3' is not written like Name or Name(64, width=2)"),
        ("{file}:[Block]", "'[Block]' is no name"),
        ("{file}", "names no network in it; write net.py:NAME with one of: Block, ready"),
        ("{file}:number", "number is int, not callable"),
        ("{file}:ready(3)", "ready is Linear, a ready-made module: write it without arguments"),
        ("{file}:not_a_module()", "not_a_module gave list, expected a torch.nn.Module"),
        ("{file}:leaves()", "leaves raised SystemExit: usage: no"),
        ("no_such.py:Net", "there is no file no_such.py"),
        ("nowhere/at_all/net.py:Net", "there is no folder"),
        ("no.such.module:Net", "there is no module 'no' on the Python path"),
        ("torch.nn.nowhere:Net", "there is no module 'torch.nn.nowhere' on the Python path"),
        (":Net", "is not understood; write one of: file.py:Name"),
        ("", "is not understood"),
        ("skipstone:", "is not understood"),
        ("skipstone", "names no network; write skipstone:NAME"),
        ("skipstone:resnet20(10)", "arguments of skipstone:resnet20 are written name=value"),
        ("skipstone:resnet20(num_classes=10", "'(num_classes=10' is not written like"),
        ("skipstone:plane20", "unknown network 'plane20'"),
    ],
)
def test_mistakes_are_named(file: Path, target: str, said: str) -> None:
    with pytest.raises(SkipstoneError) as error:
        resolve(target.format(file=file))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 +", "importing bad.py raised SyntaxError"), ("import not_there_at_all", "ModuleNotFoundError"),
     ("raise SystemExit(3)", "SystemExit: 3")],
)  # fmt: skip
def test_a_file_that_cannot_be_imported(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    modules = set(sys.modules)
    with pytest.raises(TargetError, match=said):
        resolve(f"{tmp_path}/bad.py:Net")
    assert set(sys.modules) == modules


def test_a_path_with_a_colon() -> None:
    assert parse_target("C:/nets/net.py:Net(1)").where == "C:/nets/net.py"


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "target",
    ["timm:resnet18", "torchvision:resnet18(num_classes=7)", "torchvision:fcn_resnet50", "torchvision:googlenet"],
)
def test_public_zoos_come_without_weights(target: str) -> None:
    assert next(outline(target).parameters()).device.type == "meta"


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", ["timm:resnet1", "torchvision:resnet19"])
def test_unknown_names_of_public_zoos(target: str) -> None:
    with pytest.raises(TargetError, match="nearest: resnet1"):
        outline(target)


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore")
def test_a_constructor_that_needs_values_gets_them() -> None:
    assert next(outline("torchvision:regnet_y_400mf").parameters()).device.type == "cpu"


REACH = """import os
import subprocess
from functools import cache, partial, wraps
from torch import nn, save


class Net(nn.Module):
    @classmethod
    def small(cls):
        return cls()


@cache
def cached():
    return Net()


def plain():
    return Net()


wrapped = wraps(plain)(lambda: Net())
ready = partial(Net)


class Other:
    pass


class Maker:
    def __call__(self):
        return Net()


make = Maker()
"""


@pytest.mark.parametrize("name", ["Net", "Net.small", "cached", "plain()", "wrapped", "ready", "make()"])
def test_whatever_of_the_users_gives_a_network_may_be_called(tmp_path: Path, name: str) -> None:
    (tmp_path / "net.py").write_text(REACH)
    assert type(resolve(f"{tmp_path / 'net.py'}:{name}")).__name__ == "Net"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('os:system("touch {}")', "system is a built-in function and was not called"),
        ('subprocess:run("touch {}", shell=True)', "run is a function of subprocess and was not called"),
        ('NET:os.system("touch {}")', "os.system is a built-in function and was not called"),
        ('NET:subprocess.check_call(["touch", "{}"])', "check_call is a function of subprocess and was not called"),
        ('NET:save({{}}, "{}")', "save is a function of torch.serialization and was not called"),
        ('builtins:exec("open({!r}, chr(119))")', "exec is a built-in function and was not called"),
        ("NET:Other()", "Other is a class of another kind and was not called"),
        ('pathlib:Path("{}")', "Path is a class of another kind and was not called"),
        ('torch.hub:load("{}", "x")', "load is a function of torch.hub and was not called"),
    ],
)
def test_what_cannot_be_a_network_is_not_called(tmp_path: Path, target: str, said: str) -> None:
    (tmp_path / "net.py").write_text(REACH)
    touched = tmp_path / "touched"
    with pytest.raises(SkipstoneError, match=re.escape(said)):
        resolve(target.format(touched).replace("NET", str(tmp_path / "net.py")))
    assert not touched.exists()
