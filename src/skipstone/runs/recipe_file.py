"""Recipes as TOML files: the keys are the fields of `Recipe`, whatever is left out keeps its default."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from skipstone.core.codec import RecordError, decode, encode
from skipstone.runs.records import Recipe


def read_recipe(path: str | Path, overrides: Mapping[str, object] | None = None) -> Recipe:
    """The recipe in a TOML file, with `overrides` (field -> value) laid over it.

    Raises:
        RecordError: the file cannot be read, is not TOML, or has an unknown key or a value of the wrong kind.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as TOML: {error}") from error
    return decode(Recipe, {**table, **(overrides or {})}, where=str(path))


def override(recipe: Recipe, overrides: Mapping[str, object]) -> Recipe:
    """`recipe` with other values for some fields, checked like those of a file."""
    return decode(Recipe, {**encode(recipe), **overrides})
