"""Settings of a project: `[tool.skipstone]` in its pyproject.toml.

[tool.skipstone]
ignore = ["SK301"]
baseline = "skipstone-baseline.json"
run = false

[[tool.skipstone.check]]
target = "net.py:Net"
inputs = ["3x32x32"]
mode = "train"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from skipstone.execution import Run

_KEYS = {"select": list, "ignore": list, "baseline": str, "run": bool, "check": list}
_JOB_KEYS = {"target": str, "inputs": list, "mode": str}
_WORDS: Mapping[type, str] = {list: "a list of texts", str: "a text", bool: "true or false"}
_TABLES = "tables, each under [[tool.skipstone.check]]"


class SettingsError(SkipstoneError, ValueError):
    """A setting that is not known or of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Job:
    """One network to check: its target, its example inputs as typed, its mode; the folder the target is told from."""

    target: str
    inputs: tuple[str, ...]
    mode: str = "train"
    folder: Path | None = None

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
    run: "Run" = "auto"
    budget: float = 0.5

    def with_flags(self, select: tuple[str, ...], ignore: tuple[str, ...], baseline: Path | None) -> "Settings":
        """A flag takes the place of the setting; codes to ignore add up."""
        return replace(
            self,
            select=select or self.select,
            ignore=(*self.ignore, *ignore),
            baseline=baseline or self.baseline,
        )

    def with_run(self, run: bool | None, budget: float) -> "Settings":
        """Whether the networks are really run, where a flag says so, and how many seconds that may take."""
        return replace(self, run=self.run if run is None else run, budget=budget)

    def without_baseline(self) -> "Settings":
        return replace(self, baseline=None)


def load_settings(folder: Path | None = None) -> Settings:
    """The settings of the nearest pyproject.toml from `folder` (the working one) upwards that has any, or the defaults.

    Raises:
        SettingsError: a file that is no TOML or can't be read, an unknown key, a value of another kind.
    """
    folder = folder or Path.cwd()
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if (table := _read(file).get("tool", {})) and not isinstance(table, dict):
            raise SettingsError(f"{file}: tool is {table!r}; it must be a table")
        if "skipstone" in table:
            return _settings(table["skipstone"], file)
    return Settings()


def _read(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8, which TOML must be: byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is no TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None


def _settings(table: object, file: Path) -> Settings:
    checked = _table(table, _KEYS, f"{file} [tool.skipstone]")
    jobs = []
    for row in checked.get("check", []):
        where = f"{file} [[tool.skipstone.check]]"
        job = _table(row, _JOB_KEYS, where)
        if "target" not in job:
            raise SettingsError(f"{where}: needs a target such as 'net.py:Net'")
        jobs.append(Job(job["target"], tuple(job.get("inputs", ())), job.get("mode", "train"), file.parent))
    baseline = checked.get("baseline")
    if baseline == "":
        raise SettingsError(f"{file} [tool.skipstone]: baseline is ''; it must be a file's name")
    return Settings(
        tuple(checked["select"]) if "select" in checked else None,
        tuple(checked.get("ignore", ())),
        file.parent / baseline if baseline else None,
        tuple(jobs),
        checked.get("run", "auto"),
    )


def _table(table: object, known: Mapping[str, type], where: str) -> Mapping[str, Any]:
    """The table, if it is one and each of its keys is known and of its kind."""
    if not isinstance(table, dict):
        raise SettingsError(f"{where} is {table!r}; it must be a table, such as target = 'net.py:Net'")
    for key, value in table.items():
        if key not in known:
            raise SettingsError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        texts = key == "check" or not isinstance(value, list) or all(isinstance(item, str) for item in value)
        if not isinstance(value, known[key]) or not texts:
            words = _TABLES if key == "check" else _WORDS[known[key]]
            raise SettingsError(f"{where}: {key} is {value!r}; it must be {words}")
    return table
