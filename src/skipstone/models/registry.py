"""The table of network families, and the three functions over it: `names`, `family_of`, `create`.

A family is a pattern of names and the function that builds them; numbers in a name (`resnet110`, `wrn28_10`) become
that function's integer arguments, its keyword arguments are the options. The builders' modules are imported when one is
called, so that listing names needs no torch.
"""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from skipstone.core.errors import UnknownNameError
from skipstone.models.families import FAMILIES, Family

if TYPE_CHECKING:
    from torch import nn


def families() -> tuple[Family, ...]:
    """Every family of networks, in the order of the table."""
    return FAMILIES


def names() -> tuple[str, ...]:
    """The published networks by name, family by family; other depths and widths follow the families' patterns."""
    return tuple(name for family in FAMILIES for name in family.names)


def family_of(name: str) -> Family:
    """The family that `name` belongs to; `UnknownNameError` if there is none."""
    for family in FAMILIES:
        if re.fullmatch(family.pattern, name):
            return family
    raise UnknownNameError("network", name, names())


def options(name: str) -> dict[str, object]:
    """The options of the network `name` with their defaults (imports its builder, and torch with it)."""
    return {
        option.name: option.default
        for option in inspect.signature(builder_of(name)).parameters.values()
        if option.kind is inspect.Parameter.KEYWORD_ONLY
    }


def create(name: str, **options: object) -> "nn.Module":
    """Build the network `name`.

    Every network takes `num_classes` and `in_channels`, most `dims`, the number of spatial axes (1 for series, 3 for
    volumes); the other options are those of its family, as `skipstone models
    NAME` lists them. An unknown name or option raises `UnknownNameError` with the nearest ones, a depth that the family
    cannot have a `DepthError` with the nearest that it can, a wrong value an `OptionError`.

    >>> sum(p.numel() for p in create("resnet20", num_classes=10).parameters())
    269722
    """
    family = family_of(name)
    build = builder_of(name)
    keywords = inspect.signature(build).parameters
    allowed = [p.name for p in keywords.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in allowed:
            raise UnknownNameError(f"option of {name}", option, allowed)
    match = cast("re.Match[str]", re.fullmatch(family.pattern, name))
    return build(*(int(text) if text.isdigit() else text for text in match.groups()), **options)


def builder_of(name: str) -> "Callable[..., nn.Module]":
    """The function that builds the network `name` from the numbers in its name and the options."""
    module, _, function = family_of(name).builder.partition(":")
    return cast("Callable[..., nn.Module]", getattr(import_module(module), function))
