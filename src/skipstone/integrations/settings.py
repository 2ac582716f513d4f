"""Settings of a project: `[tool.skipstone]` in its pyproject.toml.

[tool.skipstone]
ignore = ["SK301"]
baseline = "skipstone-baseline.json"

[[tool.skipstone.check]]
target = "net.py:Net"
inputs = ["3x32x32"]
mode = "train"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skipstone.core.errors import SkipstoneError

_KEYS = {"select": list, "ignore": list, "baseline": str, "check": list}
_JOB_KEYS = {"target": str, "inputs": list, "mode": str}


class SettingsError(SkipstoneError, ValueError):
    """A setting that is not known or of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Job:
    """One network to check: its target, its example inputs as typed, its mode."""

    target: str
    inputs: tuple[str, ...]
    mode: str = "train"

    def __post_init__(self) -> None:
        if not self.inputs:
            raise SettingsError(f"{self.target}: no example input; give one such as --input 3x32x32")
        if self.mode not in ("train", "eval"):
            raise SettingsError(f"{self.target}: mode is {self.mode!r}; it must be train or eval")


@dataclass(frozen=True, slots=True)
class Settings:
    """What to look for, what to leave out, which findings are accepted, which networks to check."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    baseline: Path | None = None
    jobs: tuple[Job, ...] = ()

    def with_flags(self, select: tuple[str, ...], ignore: tuple[str, ...], baseline: Path | None) -> "Settings":
        """A flag takes the place of the setting; codes to ignore add up."""
        return replace(
            self,
            select=select or self.select,
            ignore=(*self.ignore, *ignore),
            baseline=baseline or self.baseline,
        )


def load_settings(folder: Path) -> Settings:
    """The settings of the nearest pyproject.toml from `folder` upwards that has any; none: the defaults."""
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("skipstone")
            except tomllib.TOMLDecodeError as error:
                raise SettingsError(f"{file} is no TOML: {error}") from None
            return _settings(table, file) if table is not None else Settings()
    return Settings()


def _settings(table: Mapping[str, Any], file: Path) -> Settings:
    _check_keys(table, _KEYS, f"{file} [tool.skipstone]")
    jobs = []
    for row in table.get("check", []):
        where = f"{file} [[tool.skipstone.check]]"
        if not isinstance(row, dict) or "target" not in row:
            raise SettingsError(f"{where}: needs a target such as 'net.py:Net'")
        _check_keys(row, _JOB_KEYS, where)
        jobs.append(Job(row["target"], tuple(row.get("inputs", ())), row.get("mode", "train")))
    baseline = table.get("baseline")
    return Settings(
        tuple(table["select"]) if "select" in table else None,
        tuple(table.get("ignore", ())),
        file.parent / baseline if baseline else None,
        tuple(jobs),
    )


def _check_keys(table: Mapping[str, Any], known: Mapping[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise SettingsError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise SettingsError(f"{where}: {key} is {value!r}; it must be a {known[key].__name__}")
