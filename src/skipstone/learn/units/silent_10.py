"""The worst mistakes say nothing. The network runs, the loss goes down, the accuracy is a little lower than it should be,
and nobody looks. A skip connection has many of them: x is overwritten before it is added; it is added twice, or to
itself; it is kept and never used; its gradient is cut; the branch is multiplied by zero; two tensors
are joined along the wrong axis, or meet by a broadcast.

Read such code slowly, one line at a time, and ask of each tensor: whose memory is this, who reads it, and does a
gradient come back through it?

`skipstone check` finds the ten in your file as well. Find them yourself first. `skipstone explain SK202` prints the page of a
code.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from skipstone.learn.asks import Value
from skipstone.learn.pictures import drawing
from skipstone.learn.verdict import Point, right, wrong

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers

TITLE = "ten silent bugs, drawn anew for you"
ANSWERS, SEED = Value("answers"), Value("SEED")
ASKS = (SEED, ANSWERS)
COUNT = 10

# Code -> (name, what is wrong). In the file `#!` marks the lines that count as the place; W is a width, K a kernel.
CAUSES = {
    "SK201": ("accidental-broadcast", "two tensors meet by a broadcast that nobody meant"),
    "SK202": ("identity-overwritten", "an in-place operation changes x before it is added"),
    "SK203": ("self-add", "a tensor is added to itself"),
    "SK204": ("shortcut-twice", "x is added twice"),
    "SK207": ("dead-computation", "something is computed and never used"),
    "SK208": ("unread-shortcut", "x is kept for a skip and never used"),
    "SK209": ("cut-gradient", "no gradient comes back through the branch"),
    "SK210": ("zeroed-branch", "the branch is multiplied by zero and can't be trained"),
    "SK213": ("wrong-cat-axis", "tensors are joined along an axis other than the channels"),
}
_CONV = "        self.{a} = nn.Conv2d(W, W, K, padding=P)\n"
_TEMPLATES: tuple[tuple[str, str, str], ...] = (
    ("SK201", "        self.a = nn.Conv2d(W, 1, K, padding=P)\n", """
        y = self.a(x)
        return y - x.mean(1)  #!
"""),
    ("SK202", "        self.a = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(W, W, K, padding=P))  #!\n", """
        x = x * 1.5
        y = self.a(x)  #!
        return x + y  #!
"""),
    ("SK202", _CONV.format(a="a"), """
        x = 0.5 * x
        y = self.a(x.relu_())  #!
        return x + y  #!
"""),
    ("SK203", _CONV.format(a="a"), """
        y = self.a(x).relu()
        return y + y  #!
"""),
    ("SK204", _CONV.format(a="a"), """
        y = self.a(x)
        y = y + x  #!
        return y + x  #!
"""),
    ("SK203", _CONV.format(a="a") + _CONV.format(a="b"), """
        y = self.b(self.a(x).relu())
        return torch.add(y, y)  #!
"""),
    ("SK204", _CONV.format(a="a"), """
        y = self.a(x)
        return x + y + x  #!
"""),
    ("SK207", _CONV.format(a="a") + "        self.fit = nn.Conv2d(W, W, 1)\n", """
        s = self.fit(x)  #!
        return self.a(x).relu()  #!
"""),
    ("SK208", _CONV.format(a="a") + _CONV.format(a="b"), """
        identity = x  #!
        y = self.b(self.a(x).relu())
        return y.relu()  #!
"""),
    ("SK209", _CONV.format(a="a") + _CONV.format(a="b"), """
        x = self.a(x).relu()
        y = self.b(x)
        return x + y.detach()  #!
"""),
    ("SK210", _CONV.format(a="a") + "        self.gain = 0.0  #!\n", """
        y = self.a(x).relu()
        return x + self.gain * y  #!
"""),
    ("SK213", _CONV.format(a="a"), """
        y = self.a(x).relu()
        return torch.cat([x, y], dim=2)  #!
"""),
    ("SK201", _CONV.format(a="a"), """
        y = self.a(x).mean(1)
        return x.mean(1, keepdim=True) + y  #!
"""),
    ("SK202", _CONV.format(a="a"), """
        x = x - 0.1
        y = self.a(nn.functional.relu(x, inplace=True))  #!
        return x + y  #!
"""),
    ("SK203", _CONV.format(a="a"), """
        y = self.a(x).relu()
        return torch.cat([y, y], dim=1)  #!
"""),
    ("SK207", _CONV.format(a="a") + _CONV.format(a="b"), """
        y = self.a(x).relu()
        self.b(y)  #!
        return x + y  #!
"""),
    ("SK207", _CONV.format(a="a") + _CONV.format(a="b"), """
        y = self.a(x)  #!
        y = self.b(x).relu()  #!
        return x + y  #!
"""),
    ("SK209", _CONV.format(a="a") + _CONV.format(a="b"), """
        x = self.a(x).relu()
        return x + self.b(x).data  #!
"""),
    ("SK210", _CONV.format(a="a"), """
        y = self.a(x).relu()
        return x + y * 0  #!
"""),
    ("SK210", _CONV.format(a="a"), """
        y = self.a(x)
        y.mul_(0)  #!
        return x + y  #!
"""),
    ("SK213", _CONV.format(a="a"), """
        y = self.a(x).relu()
        return torch.cat([x, y], dim=0)  #!
"""),
)  # fmt: skip
_HEAD = '''"""silent-10: each of the ten networks runs and is wrong. Fill in the answers at the end; change nothing above them."""

import torch
from torch import nn

SEED = {seed}


class Residual(nn.Module):  # this one is right
    def __init__(self, width, kernel, padding):
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel, padding=padding)

    def forward(self, x):
        return x + self.conv(x)
'''

STATEMENT = """
The file holds ten networks, Net0 to Net9, drawn for you from SEED. Each takes (N, channels, H, W), runs, and is wrong in
one way. For each, write the line where it goes wrong and the code of the cause, from the list at the end of the file.
Another ten: skipstone learn reset silent-10. The ten of a seed: skipstone learn reset silent-10 --seed 7
"""
HINTS = (
    "An in-place operation ends in an underscore, or says inplace=True. Whose memory does it write into?",
    "Look for a name that is bound and never read, and for a sum of a thing with itself.",
    "For every sum: do both sides come from different computations, and does a gradient go back through both?",
    "skipstone check silent_10.py finds them too: compare its answer with yours.",
)


def generate(seed: int) -> tuple[str, tuple[tuple[str, frozenset[int]], ...]]:
    """(the networks as text, for each its code and the lines that count as its place), drawn from `seed`."""
    draw = random.Random(seed)
    return _written(draw.sample(_TEMPLATES, COUNT), seed, draw)


def _written(
    chosen: Sequence[tuple[str, str, str]], seed: int, draw: random.Random
) -> tuple[str, tuple[tuple[str, frozenset[int]], ...]]:
    lines = _HEAD.replace("{seed}", str(seed)).splitlines()
    planted = []
    for number, (code, layers, forward) in enumerate(chosen):
        kernel = draw.choice((1, 3, 5))
        text = (
            f"\n\nclass Net{number}(nn.Module):\n    def __init__(self):\n        super().__init__()\n{layers}"
            f"\n    def forward(self, x):{forward}"
        )
        width = str(draw.choice((4, 6, 8)))
        for letter, value in (("W", width), ("K", str(kernel)), ("P", str(kernel // 2))):
            text = (
                text.replace(f"{letter}, ", f"{value}, ")
                .replace(f"{letter})", f"{value})")
                .replace(f"={letter}", f"={value}")
            )
        marked = frozenset(len(lines) + i for i, line in enumerate(text.splitlines(), start=1) if line.endswith("  #!"))
        lines += [line.removesuffix("  #!") for line in text.splitlines()]
        planted.append((code, marked))
    return "\n".join(lines) + "\n", tuple(planted)


def start(seed: int) -> str:
    """The starter file with the networks of `seed`."""
    causes = "".join(f"#   {code}  {text}\n" for code, (_, text) in CAUSES.items())
    rows = "".join(f"    {number}: None,\n" for number in range(COUNT))
    return f'{generate(seed)[0]}\n\n{causes}# number of the network -> (line, code), as 0: (23, "SK203")\nanswers = {{\n{rows}}}\n'


def _solved(seed: int, **changed: str) -> str:
    rows = {f"n{n}": f'({min(lines)}, "{code}")' for n, (code, lines) in enumerate(generate(seed)[1])} | changed
    answers = "".join(f"    {key[1:]}: {value},\n" for key, value in rows.items() if value)
    return f"{start(seed).partition('answers = {')[0]}answers = {{\n{answers}}}\n"


def _at(seed: int, code: str) -> tuple[int, int]:
    """(number of the network with this code, one of its lines)."""
    return next((n, max(lines)) for n, (found, lines) in enumerate(generate(seed)[1]) if found == code)


STARTER = start(1)
SOLUTION = _solved(1)
_N, _LINE = _at(1, generate(1)[1][0][0])
_CODE = generate(1)[1][0][0]
RIGHT = {
    "another seed": _solved(2),
    "a third": _solved(77),
    "names of the rules": SOLUTION.replace(f'"{_CODE}"', f'"{CAUSES[_CODE][0]}"'),
    "lists, small letters": SOLUTION.replace(f'"{_CODE}"', f'"{_CODE.lower()}"').replace(f"({_LINE}, ", f"({_LINE}, "),
    "the other line of it": _solved(1, n0=f'[{_LINE}, "{_CODE}"]'),
}
WRONG = {
    "nothing found": (STARTER, "Net0 is not filled in yet"),
    "another cause": (_solved(1, n0=f'({_LINE}, "SK300")'), "is no code of the list"),
    "a wrong cause": (
        _solved(1, n0=f'({_LINE}, "{next(c for c in CAUSES if c != _CODE)}")'),
        f"line {_LINE} is the place, but",
    ),
    "a wrong line": (_solved(1, n0=f'(3, "{_CODE}")'), "is the cause, but not at line 3"),
    "one left out": (_solved(1, n9=""), "Net9 is not filled in yet"),
    "not a pair": (_solved(1, n3='"SK203"'), "expected (line, code)"),
    "a list without numbers": (start(1).partition("answers = {")[0] + "answers = []\n", "expected a dict"),
    "a seed that is none": (_solved(1).replace("SEED = 1", "SEED = 'mine'"), "SEED is 'mine'"),
}


def picture() -> str:
    from torch import Tensor, nn

    class Overwritten(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu, self.conv = nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = x * 1.5
            y: Tensor = self.conv(self.relu(x)) + x
            return y

    return drawing(
        Overwritten(), (2, 8, 6, 6), "the arc should leave above the ReLU: it works in place, so x is relu(x)"
    )


@cache
def planted(seed: int) -> tuple[tuple[str, frozenset[int]], ...]:
    return generate(seed)[1]


def judge(answers: "Answers") -> Iterator[Point]:
    seed, given = answers.value(SEED), answers.value(ANSWERS)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        yield wrong(f"SEED is {seed!r}, expected the number that the file was drawn from", answers.line("SEED"))
        return
    if not isinstance(given, dict):
        yield wrong(f"answers is {given!r}, expected a dict: number -> (line, code)", answers.line("answers"))
        return
    for number, (code, lines) in enumerate(planted(seed)):
        line = answers.line("answers", number) or answers.line("answers")
        yield _judged(number, given.get(number), code, lines, line)


def _judged(number: int, given: object, code: str, lines: frozenset[int], line: int | None) -> Point:
    net = f"Net{number}"
    if given is None:
        return wrong(f"{net} is not filled in yet", line)
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[1], str):
        return wrong(f"{net} is {given!r}, expected (line, code)", line)
    place, cause = given
    names = {name: known for known, (name, _) in CAUSES.items()}
    cause = names.get(cause.strip().lower(), cause.strip().upper())
    if cause not in CAUSES:
        return wrong(f"{net}: {given[1]!r} is no code of the list", line)
    if cause == code and place in lines:
        return right(f"{net}, line {place}: {CAUSES[code][1]}")
    if cause == code:
        return wrong(f"{net}: {code} is the cause, but not at line {place}", line)
    if place in lines:
        return wrong(
            f"{net}: line {place} is the place, but {cause} ({CAUSES[cause][1]}) is not what is wrong there", line
        )
    return wrong(f"{net}: neither line {place} nor {cause} is right", line)
