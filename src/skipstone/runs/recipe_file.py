"""Recipes as TOML files: the keys are the fields of `Recipe`, whatever is left out keeps its default.

A file may say besides, in a table `[network]`, which network it is for: `model`, `edits`, and its `options`; and in
`[run]` for how many `epochs`. `skipstone search` writes such files; those in `recipes/` go by their names.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from skipstone.core.codec import RecordError, decode, encode
from skipstone.core.errors import UnknownNameError
from skipstone.runs.records import Recipe, RunSpec

_NETWORK = ("model", "options", "edits")
_RUN = ("epochs",)
_SHIPPED = Path(__file__).parent / "recipes"


def named_recipes() -> tuple[str, ...]:
    """The recipes that come with the package: our own fast one, and papers' by author and year."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


def recipe_path(text: str) -> Path:
    """The file of a recipe that is named by its path, or by one of `named_recipes`.

    Raises:
        UnknownNameError: there is no such file, and no such name.
    """
    if (path := Path(text)).exists() or path.suffix == ".toml" or len(path.parts) > 1:
        return path
    if text not in named_recipes():
        raise UnknownNameError("recipe", text, named_recipes())
    return _SHIPPED / f"{text}.toml"


def read_recipe(path: str | Path, overrides: Mapping[str, object] | None = None) -> Recipe:
    """The recipe in a TOML file, with `overrides` (field -> value) laid over it.

    Raises:
        RecordError: the file cannot be read, is not TOML, or has an unknown key or a value of the wrong kind.
    """
    recipe: Recipe = read_setup(path, overrides)["recipe"]
    return recipe


def read_setup(path: str | Path, overrides: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The fields of a `RunSpec` that a file gives: `recipe`, and what its tables `[network]` and `[run]` say.

    Raises:
        RecordError: as `read_recipe`.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as TOML: {error}") from error
    given = _table(path, table, "network", _NETWORK) | _table(path, table, "run", _RUN)
    checked = decode(RunSpec, {**encode(RunSpec()), **given}, where=str(path))
    recipe = decode(Recipe, {**table, **(overrides or {})}, where=str(path))
    return {"recipe": recipe} | {name: getattr(checked, name) for name in given}


def setup_text(spec: RunSpec, remark: str) -> str:
    """The file that `read_setup` reads back as this recipe, network and number of epochs; headed by `remark`."""
    lines = [f"# {remark}", ""]
    lines += [_line(f.name, getattr(spec.recipe, f.name)) for f in fields(Recipe) if _told(spec.recipe, f.name)]
    lines += ["", "[network]", _line("model", spec.model)]
    if spec.edits:
        lines.append(_line("edits", spec.edits))
    if spec.options:
        lines += ["", "[network.options]", *(_line(name, value) for name, value in spec.options.items())]
    lines += ["", "[run]", _line("epochs", spec.epochs), ""]
    return "\n".join(lines)


def _told(recipe: Recipe, name: str) -> bool:
    return getattr(recipe, name) is not None


def _line(name: str, value: Any) -> str:
    """JSON's literals are TOML's, but for null, which no field needs."""
    return f"{name} = {json.dumps(value)}"


def _table(path: str | Path, table: dict[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    found = table.pop(name, {})
    if not isinstance(found, dict):
        raise RecordError(f"{path}: {name} is {found!r}, expected a table [{name}]")
    for key in found:
        if key not in known:
            raise RecordError(f"{path}: {UnknownNameError(f'key in [{name}]', key, known)}")
    return found


def override(recipe: Recipe, overrides: Mapping[str, object]) -> Recipe:
    """`recipe` with other values for some fields, checked like those of a file."""
    return decode(Recipe, {**encode(recipe), **overrides})
