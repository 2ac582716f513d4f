"""What a search may change: factors of a run's spec, each with its values.

lr=0.01..0.5:log         a field of the recipe, between two numbers, by their logarithm
width=8..24              an option of the network, between two whole numbers
shortcut=A,B             an option, one of these
blocks_per_stage=(1,1,1),(1,2,3)
model=plain20,resnet20   the network itself
depth=14,20,26           the number in a reference network's name
variant=as-is,plain=ablate:all   a variant by edit
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.core.literals import literal, split
from skipstone.runs.recipe_file import override
from skipstone.runs.records import Recipe, RunSpec
from skipstone.runs.variants import parse_variant

_FORMS = "name=low..high, name=low..high:log or name=value,value"
_RANGE = re.compile(r"(?P<low>[^,]+?)\.\.(?P<high>[^,:]+)(?P<log>:log)?")
_RECIPE = frozenset(field.name for field in fields(Recipe))
_SPEC = frozenset(field.name for field in fields(RunSpec)) - {"model", "variant"}
"""What stays as it is through a search: trials that differ in these could not be compared."""

_DESIGNS = ("plain", "resnet", "preact", "dense")


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: `choices`, or where there are none the numbers from `low` to `high`, both included.

    `whole`: whole numbers. `log`: drawn evenly by the logarithm.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def ends(self) -> tuple[Any, ...]:
        """Values that stand for all: the choices, or both ends."""
        return self.choices or (self.number(self.low), self.number(self.high))

    def number(self, value: float) -> float | int:
        return int(value) if self.whole else float(value)

    def __str__(self) -> str:
        if self.choices:
            return f"{self.name}={','.join(map(str, self.choices))}"
        return f"{self.name}={self.number(self.low)}..{self.number(self.high)}{':log' * self.log}"


def parse_factor(text: str) -> Factor:
    """A factor out of its words.

    >>> parse_factor("lr=0.01..0.5:log")
    Factor(name='lr', choices=(), low=0.01, high=0.5, log=True, whole=False)
    >>> parse_factor("shortcut=A,B").choices
    ('A', 'B')

    Raises:
        SkipstoneError: it is not understood, has one value, or what it names may not differ between trials.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier() or not rest.strip():
        raise SkipstoneError(f"factor {text!r} is not understood, expected {_FORMS}")
    if name in _SPEC:
        raise SkipstoneError(f"factor {text!r}: {name} is the same for all trials of a search")
    if match := _RANGE.fullmatch(rest.strip()):
        return _range(text, name, match)
    texts = split(rest)
    choices = tuple(texts) if name in ("model", "variant") else tuple(map(literal, texts))
    if len({repr(choice) for choice in choices}) < 2:
        raise SkipstoneError(f"factor {text!r} has one value, expected at least two: {_FORMS}")
    return Factor(name, choices)


def _range(text: str, name: str, match: re.Match[str]) -> Factor:
    low, high = literal(match["low"].strip()), literal(match["high"].strip())
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise SkipstoneError(f"factor {text!r}: the ends of a range are numbers; expected {_FORMS}")
    if not low < high:
        raise SkipstoneError(f"factor {text!r}: {low} is not below {high}")
    if match["log"] and low <= 0:
        raise SkipstoneError(f"factor {text!r}: the logarithm of {low} is no number; begin above 0")
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(getattr(Recipe(), name, 0), float)
    return Factor(name, (), low, high, bool(match["log"]), whole)


def default_space(base: RunSpec) -> tuple[Factor, ...]:
    """The learning rate, and of a reference network what it has of design, blocks a stage (depth), width, dropout."""
    rate = Factor("lr", (), 0.01, 0.5, log=True)
    if not base.model.startswith("skipstone:"):
        return (rate,)
    from skipstone.models.registry import options

    known = options(base.model.removeprefix("skipstone:")) | dict(base.options)
    factors = [rate]
    if design := re.fullmatch(rf"skipstone:(?:{'|'.join(_DESIGNS)})(\d+)", base.model):
        factors.append(Factor("model", tuple(f"{name}{design[1]}" for name in _DESIGNS)))
    if "blocks_per_stage" in known:
        factors.append(Factor("blocks_per_stage", ((1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 2, 3), (3, 2, 1))))
    if isinstance(width := known.get("width"), int):
        factors.append(Factor("width", (), max(2, width // 2), width * 3 // 2, whole=True))
    if "dropout" in known:
        factors.append(Factor("dropout", (), 0.0, 0.3))
    return tuple(factors)


def demand_space(space: Sequence[Factor]) -> None:
    """Refuse an empty space, a factor given twice, and two that both say how many blocks there are."""
    names = [factor.name for factor in space]
    if not names:
        raise SkipstoneError("nothing to search: no factor was given")
    for name in names:
        if names.count(name) > 1:
            raise SkipstoneError(f"factor {name} was given twice")
    if {"depth", "blocks_per_stage"} <= set(names):
        raise SkipstoneError("depth and blocks_per_stage both say how many blocks there are; give one of them")


def demand_factors(space: Sequence[Factor], base: RunSpec) -> None:
    """Refuse a factor that is neither of the recipe nor an option of any network, where all are known."""
    models = [str(choice) for factor in space if factor.name == "model" for choice in factor.choices] or [base.model]
    names = [model.removeprefix("skipstone:") for model in models]
    if any(":" in name for name in names):
        return
    from skipstone.models.registry import options

    known = _RECIPE | {"model", "depth", "variant"} | {option for name in names for option in options(name)}
    for factor in space:
        if factor.name not in known:
            raise UnknownNameError("factor", factor.name, known)


def place(base: RunSpec, settings: Mapping[str, Any]) -> RunSpec:
    """`base` with these values of factors.

    Raises:
        SkipstoneError: a value that its field can't have.
    """
    rest = dict(settings)
    model = str(rest.pop("model", base.model))
    spec = replace(base, model=model if ":" in model else f"skipstone:{model}")
    if "depth" in rest:
        spec = replace(spec, model=_with_depth(spec.model, rest.pop("depth")))
    if "variant" in rest:
        variant = parse_variant(rest.pop("variant"))
        spec = replace(spec, variant=variant.name, edits=variant.edits)
    recipe = {name: rest.pop(name) for name in list(rest) if name in _RECIPE}
    return replace(spec, recipe=override(base.recipe, recipe), options={**base.options, **rest})


def _with_depth(model: str, depth: int) -> str:
    name = model.removeprefix("skipstone:")
    if ":" in name or not re.search(r"\d", name):
        raise SkipstoneError(f"depth is the number in a reference network's name (resnet20), and {model} has none")
    return f"skipstone:{re.sub(r'[0-9]+', str(depth), name, count=1)}"


def settings_of(spec: RunSpec, space: Sequence[Factor]) -> dict[str, Any] | None:
    """The values that a spec has of all factors; None where one is not known or does not lie in the space."""
    found = {factor.name: _value(spec, factor.name) for factor in space}
    return found if all(_holds(factor, found[factor.name]) for factor in space) else None


def _value(spec: RunSpec, name: str) -> Any:
    if name == "model":
        return spec.model.removeprefix("skipstone:")
    if name in _RECIPE:
        return getattr(spec.recipe, name)
    if name in spec.options or not spec.model.startswith("skipstone:"):
        return spec.options.get(name)
    from skipstone.models.registry import options

    return options(spec.model.removeprefix("skipstone:")).get(name)


def _holds(factor: Factor, value: Any) -> bool:
    if factor.choices:
        return value in factor.choices
    return isinstance(value, int | float) and factor.low <= value <= factor.high
