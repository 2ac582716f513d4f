"""`search`: trials in rounds until the runs or the time are used up, then the finals.

What is finished is in files before anything that rests on it begins: a round's settings before its first trial, each
epoch in its run's folder. Killed at any moment, the same command takes up the trials of the round that was cut, and
suggests the next round as it would have.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import make_folder
from skipstone.experiments.alone import alone
from skipstone.experiments.comparing import write_json
from skipstone.experiments.local import LocalRunner
from skipstone.experiments.possible import demand_possible
from skipstone.experiments.runner import Runner, Watcher, run_name
from skipstone.experiments.search.advice import Told, canonical, demand_optuna, suggest
from skipstone.experiments.search.finals import expected_seconds, run_finals
from skipstone.experiments.search.pruning import floors
from skipstone.experiments.search.records import SEARCH_FILE, TRIALS_FILE, Found, Search, Trial, Trials
from skipstone.experiments.search.space import Factor, default_space, demand_factors, demand_space, place, settings_of
from skipstone.runs.folder import FolderError, holds_work
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import RunRecord, RunSpec, read_json, read_run

DEFAULT_RUNS = 40
_MOST = 10_000
"""Trials, where only the time bounds them."""

Watching = Callable[[Sequence[RunSpec], str], AbstractContextManager[Watcher | None]]
"""Makes the watcher of the runs that are about to begin; the text says what they are."""


def search(
    base: RunSpec,
    out: str | Path,
    *,
    space: Sequence[Factor] = (),
    runs: int | None = None,
    budget_seconds: float | None = None,
    seed: int = 0,
    round: int = 4,
    finalists: int = 3,
    seeds: int = 6,
    runner: Runner | None = None,
    watching: Watching | None = None,
) -> Found:
    """Look for settings of `space` that beat those of `base`, and see over fresh seeds whether they do.

    Trials are compared by validation accuracy after their last epoch and never see the test images; trial 0 is `base`
    itself. The search ends after so many `runs` (default 40), or where `budget_seconds` on the wall leave no time for
    another round and the finals. The best `finalists` are then trained again beside `base`, with `seeds` seeds that no
    trial had, and compared with it on the test images. Everything lies in `out`; the same call goes on where one was
    cut, and with more runs or time it searches on.

    Raises:
        SkipstoneError: Optuna is missing, the space or a number makes no sense, a network of it can't be built, every
            trial of a round failed, or `out` holds another search or is being searched in.
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
    """
    demand_optuna()
    runner = runner or LocalRunner()
    runner.demand_ready()
    space = tuple(space) or default_space(base)
    asked = Search(replace(base, out=None), space, seed, round)
    _demand_sense(asked, runs, budget_seconds, finalists, seeds, here=runner.on_this_machine)
    folder = Path(out)
    make_folder(folder)
    with alone(folder, "being searched in"):
        study = Study(asked, folder, runner, watching or (lambda specs, text: nullcontext()))
        study.open()
        study.explore(runs or (_MOST if budget_seconds else DEFAULT_RUNS), budget_seconds, finalists, seeds)
        return run_finals(study, finalists, tuple(base.seed + 1 + i for i in range(seeds)))


class Study:
    """A search's trials: what is planned, run and known of them."""

    def __init__(self, asked: Search, folder: Path, runner: Runner, watching: Watching) -> None:
        self.asked, self.folder, self.runner, self.watching = asked, folder, runner, watching
        self.trials = Trials()

    def open(self) -> None:
        """Claim the folder, or read what a search before left; `FolderError` where that was another search."""
        file = self.folder / SEARCH_FILE
        if file.is_file():
            there, here = Search.from_dict(read_json(file), str(file)).to_dict(), self.asked.to_dict()
            if found := [key for key in here if there[key] != here[key]]:
                said = "; ".join(_said(key, there[key], here[key]) for key in found)
                raise FolderError(f"{self.folder} holds another search: {said}; choose another folder")
        else:
            write_json(file, self.asked.to_dict())
        trials = self.folder / TRIALS_FILE
        if trials.is_file():
            self.trials = Trials.from_dict(read_json(trials), str(trials))

    def explore(self, runs: int, budget_seconds: float | None, finalists: int, seeds: int) -> None:
        """Run rounds until the runs are done, the space is exhausted, or no time is left for one and the finals."""
        self._run(self.trials.trials)  # what was cut
        while len(self.trials.trials) < runs:
            if budget_seconds is not None and self.trials.trials:
                needed = expected_seconds(self, self.asked.round + (1 + finalists) * seeds)
                if self.trials.seconds + needed > budget_seconds:
                    break
            planned = self._planned(min(self.asked.round, runs - len(self.trials.trials)))
            if not planned:
                break
            self._keep(Trials((*self.trials.trials, *planned), self.trials.seconds))
            self._run(planned)

    def records(self) -> dict[int, RunRecord]:
        """By number, the trials that left a result."""
        found = {}
        for trial in self.trials.trials:
            path = Path(str(self.spec(trial).out))
            if holds_work(path) and (record := read_run(path)).result is not None:
                found[trial.number] = record
        return found

    def spec(self, trial: Trial) -> RunSpec:
        return trial.spec(self.asked.base, self.folder)

    def told(self) -> list[Told]:
        """The trials as Optuna is told of them; the default only where its settings lie in the space."""
        records, found = self.records(), []
        for trial in self.trials.trials:
            settings = trial.settings or settings_of(self.asked.base, self.asked.space)
            if settings is None:
                continue
            settings = canonical(self.asked.space, settings)
            record = records.get(trial.number)
            if record is None or record.result is None:
                found.append(Told(settings, (), "failed"))
            else:
                accuracies = tuple(epoch.val_accuracy for epoch in record.epochs)
                found.append(Told(settings, accuracies, "given up" if record.result.stopped == "floor" else "whole"))
        return found

    def _planned(self, count: int) -> list[Trial]:
        first = len(self.trials.trials)
        default = [Trial(0)] if first == 0 else []
        curves = [[epoch.val_accuracy for epoch in record.epochs] for record in self.records().values()]
        bar = floors(curves, self.asked.base.epochs)
        mixed = self.asked.seed * _MOST + first
        suggested = suggest(self.asked.space, self.told(), count=count - len(default), seed=mixed)
        return default + [Trial(first + len(default) + i, settings, bar) for i, settings in enumerate(suggested)]

    def _run(self, trials: Sequence[Trial]) -> None:
        left = [spec for trial in trials if not _complete(spec := self.spec(trial))]
        if not left:
            return
        began = time.monotonic()
        names = ", ".join(run_name(spec) for spec in left)
        with self.watching(left, f"trials {names}: at most {left[0].epochs} epochs each") as watch:
            outcomes = self.runner.run(left, watch=watch)
        seconds = time.monotonic() - began
        self._keep(Trials(self.trials.trials, self.trials.seconds + seconds))
        _demand_some(outcomes, len(left) == len(self.trials.trials))

    def _keep(self, trials: Trials) -> None:
        write_json(self.folder / TRIALS_FILE, trials.to_dict())
        self.trials = trials


def _complete(spec: RunSpec) -> bool:
    path = Path(str(spec.out))
    return holds_work(path) and read_run(path).result is not None


def _demand_some(outcomes: Sequence[Outcome], first: bool) -> None:
    if any(outcome.status == "interrupted" for outcome in outcomes):
        raise KeyboardInterrupt
    if first and not any(outcome.complete for outcome in outcomes):
        raise SkipstoneError(f"every trial of the first round failed; the first: {outcomes[0].message}")


def _demand_sense(
    asked: Search, runs: int | None, budget_seconds: float | None, finalists: int, seeds: int, *, here: bool
) -> None:
    for name, value in (("runs", runs), ("round", asked.round), ("finalists", finalists), ("seeds", seeds)):
        if value is not None and value < 1:
            raise SkipstoneError(f"{name} is {value}, expected at least 1")
    if budget_seconds is not None and not budget_seconds > 0:
        raise SkipstoneError(f"budget is {budget_seconds} seconds, expected more than 0")
    if asked.seed < 0:
        raise SkipstoneError(f"seed is {asked.seed}, expected at least 0")
    demand_space(asked.space)
    demand_factors(asked.space, asked.base)
    models = [{factor.name: value} for factor in asked.space if factor.name == "model" for value in factor.choices]
    values: list[dict[str, Any]] = [{factor.name: value} for factor in asked.space for value in factor.ends()]
    placed = [place(asked.base, {**model, **value}) for model in models or [{}] for value in values]
    demand_possible([asked.base, *placed], here=here)


def _said(key: str, there: object, here: object) -> str:
    """Where two searches part; of the base specs, the fields."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [name for name in here if there.get(name) != here[name]]
        return ", ".join(f"{name} is {there.get(name)!r} there, {here[name]!r} here" for name in keys)
    if key == "space":
        return "its factors are others"
    return f"{key} is {there!r} there, {here!r} here"
