"""Commands that cannot run: each must end with status 2 and one line that names the value, never with a traceback.

`COMMANDS` are told in a folder that `prepare` has filled. Where the same wrong thing can be typed in many places (a
path that is a folder, a number that is none) the rows are made from a list of places and a list of wrong things.
"""

import os
import shlex
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

NET = """import torch
from torch import nn

READY, NUMBER = nn.Identity(), 3


class Net(nn.Module):
    def __init__(self, c=3):
        super().__init__()
        self.a = nn.Conv2d(3, c, 3, padding=1)
        self.b = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x):
        return x + self.b(self.a(x))


class NeedsWidth(nn.Module):
    def __init__(self, width):
        super().__init__()


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(64, 10)

    def forward(self, x):
        return self.l(x.flatten(1))


def gives_number():
    return 3


def raises():
    raise ValueError("two\\nlines")


class Odd(Exception):
    def __str__(self):
        return 7


def raises_an_odd_error():
    raise Odd


def data_of_nothing():
    return None


def data_that_raises():
    raise KeyError("no data")
"""
FILES = {
    "net.py": NET,
    "empty.py": "",
    "syntax.py": "def (:\n",
    "raises.py": "raise RuntimeError('at import')\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "interrupts.py": "raise KeyboardInterrupt\n",
    "exits_group.py": "raise BaseExceptionGroup('many', [KeyboardInterrupt(), SystemExit(2)])\n",
    "deep.py": "def f():\n    return f()\n\n\nf()\n",
    "tabs.py": "if 1:\n\tx = 1\n        y = 2\n",
    "list.json": "[1, 2]",
    "text.json": '"known"',
    "other.json": '{"schema": "skipstone.Baseline", "version": 99}',
    "odd.json": '{"schema": 3, "version": [], "findings": {"a": 1}}',
    "cut.json": '{"schema": "skipstone.',
    "wrong.toml": "lr = 'fast'\n",
    "unknown.toml": "learning_rate = 0.1\n",
    "cut.toml": "lr = \n",
    "nested.toml": "[lr]\na = 1\n",
    "nan.toml": "lr = nan\n",
    "table/keep": "",
}
BYTES = {
    "nul.py": b"x = 1\0\n",
    "latin.py": b"# caf\xe9\n",
    "utf16.py": "class Net: pass\n".encode("utf-16"),
    "random.bin": bytes(range(256)) * 8,
    "empty.bin": b"",
    "latin.toml": b"# caf\xe9\nlr = 0.1\n",
    "zip.pt": b"PK\x03\x04" + bytes(60),
}
WRONG_PATHS = ("no/such/place", "net.py/below", "a\0b", "x" * 300, "/proc/nowhere")
WRONG_FILES = ("no-such-file", "table", "a\0b", "x" * 300, "random.bin", "list.json", "cut.json", "empty.bin")
WRONG_NUMBERS = ("nan", "-1", "0", "x", "", "1e400", "9" * 5000, "-inf")
INPUTS = (
    "", " ", "x", "3x", "x3", "3xx8", "3x-8x8", "-3x8x8", "3x8.5x8", "3x8x8:", "3x8x8:no", "3x8x8:float32:float32",
    ":int64", "3,,8", "(3,8,8)", "[3, 8, 8]", "three", "3x8x8;3x8x8", "0x3x8x8x", "1e3x8", "٣x8", "3×8×8", "None",
    "True", "3x8x8\x00", "3x999999999999999999999999999999", "3x99999999999x99999999999",
    "x".join(["1"] * 70),
    "{}", "'3x8x8'", "x=3x8x8:nope", "H", "3xHxW:torch.float32()", "3x8x8:__class__", "3x8x8:Tensor", "../net.py",
    "\x1b[31m3",
)  # fmt: skip
TARGETS = (
    "", " ", ":", "net.py:", ":Net", "net.py:nope", "net.py:Net.nope", "net.py:Net(", "net.py:Net()()",
    "net.py:Net(c=d)", "net.py:Net(c=__import__('os'))", "net.py:Net(*[1])", "net.py:Net(**{})", "net.py:1",
    "net.py:NUMBER", "net.py:READY()", "net.py:NeedsWidth", "net.py:gives_number", "net.py:raises",
    "net.py:raises_an_odd_error", "net.py:torch.load('x')", "net.py:Net if 1 else 2", "net.py:Net;Net",
    "net.py:Net\x00", "net.py\x00:Net", "no.py:Net", "table:Net", "table.py:Net", "empty.py:Net", "syntax.py:Net",
    "raises.py:Net", "exits.py:Net", "interrupts.py:Net", "exits_group.py:Net", "deep.py:Net", "tabs.py:Net",
    "nul.py:Net", "latin.py:Net", "utf16.py:Net", "os:system('true')", "os:nope", "subprocess:run('true')",
    "builtins:eval('1')", "builtins:exec('1')", "pickle:loads(b'')", "importlib:import_module('os')", "nope:Net",
    "nope", "a b:Net", "a..b:Net", ".a:Net", "..:Net", "a.:Net", "torch:load('random.bin')", "torch.nn:Linear",
    "torch.nn:Linear('a', 'b')", "torch.nn:Linear(-1, 2)", "skipstone:", "skipstone:nope",
    "skipstone:plain8(width=-1)", "skipstone:plain8(width='x')", "skipstone:plain8(8)", "skipstone:plain8(nope=1)",
    "timm:", "torchvision:nope", "x" * 5000 + ":Net", "/:Net", "/dev/null:Net", "~/net.py:Net", "net.py:Net(c=-3)",
    "net.py:Net(c='x')", "net.py:Net(c=99999999999999999999)", "net.py:Net(" + "9" * 5000 + ")",
    "net.py:" + "a." * 2000 + "b", "\x1b[31m:Net", "-c:Net", "$(true):Net", "`true`:Net",
)  # fmt: skip
SETTINGS = (
    "[tool]\nskipstone = 3\n", "tool = 3\n", "[tool.skipstone]\nselect = 'SK1'\n",
    "[tool.skipstone]\nselect = [1]\n", "[tool.skipstone]\nselect = ['nope']\n", "[tool.skipstone]\nignore = {}\n",
    "[tool.skipstone]\nignore = ['']\n", "[tool.skipstone]\nbaseline = 3\n", "[tool.skipstone]\nbaseline = ''\n",
    "[tool.skipstone]\nbaseline = 'a\\u0000b'\n", "[tool.skipstone]\nbaseline = 'table'\n",
    "[tool.skipstone]\nrun = 'yes'\n", "[tool.skipstone]\nrun = 1\n", "[tool.skipstone]\nnope = 1\n",
    "[tool.skipstone]\ncheck = 3\n", "[tool.skipstone]\ncheck = [3]\n",
    "[tool.skipstone.check]\ntarget = 'net.py:Net'\n", "[[tool.skipstone.check]]\ninputs = ['3x8x8']\n",
    "[[tool.skipstone.check]]\ntarget = 3\n", "[[tool.skipstone.check]]\ntarget = ''\ninputs = ['3x8x8']\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = '3x8x8'\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = [3]\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = []\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = ['']\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = ['3x8x8']\nmode = 'fast'\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = ['3x8x8']\nmode = 3\n",
    "[[tool.skipstone.check]]\ntarget = 'net.py:Net'\ninputs = ['3x8x8']\nnope = 3\n",
    "[tool.skipstone]\nselect = ['SK102'\n", "[tool.skipstone\n", "[tool.skipstone]\n[tool.skipstone]\n",
)  # fmt: skip

# What a word in capitals stands for in the commands below.
_BEGINNINGS = {
    "CHECK": "check net.py:Net -i 3x8x8",
    "TRAIN": "train --model skipstone:plain8 --epochs 1",
    "COMPARE": "compare --models plain8 --seeds 1 --epochs 1",
    "EACH": "ablate 'skipstone:plain8(num_classes=10)' --each",
}

# Where one wrong thing can be typed, with the thing left out at the end.
_INPUT_PLACES = (
    "check net.py:Net --input",
    "show net.py:Net --input",
    "diff net.py:Net net.py:Net --input",
    "connect net.py:Net a b --input",
    "ablate net.py:Net --input",
    "sizes net.py:Net --input",
)
_TARGET_PLACES = (
    "check -i 3x8x8 --",
    "show -i 3x8x8 --",
    "sizes -i 3xHxH --",
    "diff -i 3x8x8 net.py:Net",
)
_OUTPUT_PLACES = (
    "CHECK --write-baseline",
    "show net.py:Net -i 3x8x8 --svg",
    "connect net.py:Net a b -i 3x8x8 --out",
    "ablate net.py:Net -i 3x8x8 --out",
    "EACH --figure",
)
_FOLDER_PLACES = ("TRAIN --out", "COMPARE --out", "demo --out")  # made with those above it
_FILE_PLACES = (
    "CHECK --baseline",
    "EACH --weights",
    "TRAIN --out run --recipe",
    "TRAIN --out run --data cifar10 --data-dir",
    "train --resume --out",
)
_NUMBER_PLACES = (
    *(
        f"TRAIN --out run --{flag}"
        for flag in "epochs val-fraction lr batch-size warmup momentum weight-decay label-smoothing clip".split()
    ),
    *(f"COMPARE --out run --{flag}" for flag in "seeds epochs workers val-fraction lr batch-size".split()),
    "CHECK --budget",
    "sizes net.py:Net -i 3xHxH --seconds",
)
_FINE = {
    # Right at some places: nothing, as much as there is, an empty recipe.
    ("--recipe", "empty.bin"),
    *product(("--budget", "--seconds"), ("1e400", "9" * 5000)),
    *((place, "0") for place in ("--lr", "--warmup", "--momentum", "--weight-decay", "--label-smoothing", "--epochs")),
}

_SINGLE = """
nope
check --nope
check
check net.py:Net
check net.py:Net -i
check net.py:Net more -i 3x8x8
CHECK --mode fast
CHECK --format xml
CHECK --select nope
CHECK --select ''
CHECK --select '\0'
CHECK -i 3x8x8:bool:
check no.py
check table
check empty.py
check syntax.py
check raises.py
check nul.py
check utf16.py
check 'a\0b.py'
check .py
diff net.py:Net --revision --output=x -i 3x8x8
diff net.py:Net --revision '' -i 3x8x8
diff net.py:Net --revision no-such -i 3x8x8
diff net.py:Net --revision 'a\0b' -i 3x8x8
diff net.py:Net --revision HEAD:net.py -i 3x8x8
diff net.py:Net --revision '$(true)' -i 3x8x8
diff torch.nn:Identity --revision HEAD -i 3x8x8
connect net.py:Net nope b -i 3x8x8
connect net.py:Net a a -i 3x8x8
connect net.py:Net '' '' -i 3x8x8
connect net.py:Net b a -i 3x8x8
connect net.py:Net a b -i 3x8x8 --merge nope
connect net.py:Net a.weight b -i 3x8x8
connect net.py:Net 'a\0' b -i 3x8x8
ablate net.py:Net -i 3x8x8 --skips nope
ablate net.py:Net nope -i 3x8x8
ablate net.py:Net 99 -i 3x8x8
EACH --data nope
EACH --weights zip.pt
EACH --retrain -1
EACH --retrain x
ablate net.py:Net --each
EACH --device nope
explain nope
explain ''
explain ../SK102
explain '\0'
explain SK102.md
explain
models nope
models '['
models '\0'
sizes net.py:Net -i 3xHxH --range ''
sizes net.py:Net -i 3xHxH --range 5:1
sizes net.py:Net -i 3xHxH --range 1:5:0
sizes net.py:Net -i 3xHxH --range a:b
sizes net.py:Net -i 3xHxH --range -5:5
sizes net.py:Net -i 3xHxH --range K=1:5
TRAIN --out run --device nope
TRAIN --out run --device cuda:99
TRAIN --out run --device ''
TRAIN --out run --device cpu:-1
TRAIN --out run --data nope
TRAIN --out run --data ''
TRAIN --out run --data net.py:data_of_nothing
TRAIN --out run --data net.py:data_that_raises
TRAIN --out run --data net.py:Net
TRAIN --out run --data os:getcwd
TRAIN --out run --option width
TRAIN --out run --option =3
TRAIN --out run --option width=-1
TRAIN --out run --option nope=3
TRAIN --out run --edit nope
TRAIN --out run --edit ablate:nope
TRAIN --out run --edit connect:a
TRAIN --out run --edit ''
TRAIN --out run --seed x
TRAIN --out run --seed -1
TRAIN --out run --optimizer nope
TRAIN --out run --split-seed -1
TRAIN --out ''
train --out run
train --resume --out table
train --resume --out net.py
TRAIN --out run --recipe wrong.toml
TRAIN --out run --recipe unknown.toml
TRAIN --out run --recipe cut.toml
TRAIN --out run --recipe nested.toml
TRAIN --out run --recipe nan.toml
TRAIN --out run --recipe latin.toml
TRAIN --out run --recipe net.py
train --model net.py:Net --out run
train --model net.py:gives_number --out run
train --model '' --out run
compare --models nope --out run
compare --models '' --out run
compare --models , --out run
compare --models plain8,plain8 --out run
compare --models net.py:nope --out run
COMPARE --out run --data nope
COMPARE --out run --vary width
COMPARE --out run --vary nope=1,2
COMPARE --out run --variant =ablate:all
COMPARE --out run --variant a=nope
COMPARE --out run --device nope
COMPARE --out net.py
COMPARE --out run --option width=x
demo --workers -2
demo --workers 0
demo --out net.py
demo --out /proc/demo
runs no/such
runs net.py
runs 'a\0b'
runs . --where nope
runs . --where nope=1
runs . --where =
runs . --format xml
blocks more
blocks --format xml
"""
_LONG = ("check " + "x" * 300 + ".py", "explain " + "a" * 9999, "CHECK --ignore " + "SK" * 999)


def prepare(folder: Path) -> None:
    """Fill a folder with what the commands name."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for name, raw in BYTES.items():
        (folder / name).write_bytes(raw)
    os.mkfifo(folder / "pipe")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command that cannot run, each once, in its parts."""
    made = [
        *((*_parts(text),) for text in (*_SINGLE.strip().splitlines(), *_LONG)),
        *_wrongs(_INPUT_PLACES[:1], INPUTS),
        *_wrongs(_INPUT_PLACES[1:], [text for text in INPUTS[::4] if not text.isalpha()]),  # a letter is a free axis
        *_wrongs(_TARGET_PLACES[:1], TARGETS),
        *_wrongs(_TARGET_PLACES[1:], TARGETS[::6]),
        *_wrongs(_OUTPUT_PLACES, WRONG_PATHS),
        *_wrongs(_FOLDER_PLACES, WRONG_PATHS[1:]),
        *_wrongs(_FILE_PLACES, WRONG_FILES),
        *_wrongs(_NUMBER_PLACES, WRONG_NUMBERS),
    ]
    yield from dict.fromkeys(made)


def _wrongs(places: Iterable[str], things: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Each wrong thing at each place where it is wrong."""
    for place, thing in product(places, things):
        parts = _parts(place)
        if (parts[-1], thing) not in _FINE:
            yield (*parts, thing)


def _parts(text: str) -> list[str]:
    first, _, rest = text.partition(" ")
    return shlex.split(f"{_BEGINNINGS.get(first, first)} {rest}")


def with_settings(text: str) -> tuple[str, ...]:
    """The command that meets these settings."""
    return tuple(_parts("check" if "check" in text else "CHECK"))


def wrong(status: int, told: str) -> str | None:
    """What is wrong with how such a command ended, by its status and what it said on stderr; None where nothing is."""
    if status != 2:
        return f"status {status}, expected 2"
    if told.count("\n") != 1 or not told.startswith("skipstone: "):
        return f"expected one line of skipstone's, and not: {told!r}"
    if "skipstone failed" in told or "Traceback" in told:
        return f"taken for a fault of skipstone's own: {told!r}"
    return None
