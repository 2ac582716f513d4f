"""`try_claims`: train what the claims' predictions are about, measure, weigh. Cut anywhere, the same call goes on.

Claims share their runs: a run's folder bears what it is, so that `plain20` is trained once for all claims that ask for
it. A claim whose evidence is in the record is not tried again.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from skipstone.core.files import make_folder
from skipstone.experiments.alone import alone
from skipstone.experiments.claims.claim import Claim, Prediction, Setting, Side
from skipstone.experiments.claims.records import CLAIMS_FILE, Claims, read_claims
from skipstone.experiments.claims.verdict import Evidence, corrected, weigh
from skipstone.experiments.comparing import write_json
from skipstone.experiments.local import LocalRunner
from skipstone.experiments.possible import demand_possible
from skipstone.experiments.runner import Runner, Watcher
from skipstone.runs.folder import FolderError, holds_work
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import RunSpec, read_run

Watching = Callable[[Sequence[RunSpec], str], AbstractContextManager[Watcher | None]]
"""Makes the watcher of the runs that are about to begin; the text says what they are."""


def try_claims(
    claims: Sequence[Claim],
    setting: Setting,
    out: str | Path,
    *,
    runner: Runner | None = None,
    watching: Watching | None = None,
) -> tuple[Claims, tuple[Outcome, ...]]:
    """Try each claim under `setting`; (all that is known in `out` by then, how the runs that did not finish ended).

    Raises:
        SkipstoneError: `out` holds claims tried under another setting or another spec's run, a network can't be built,
            the data can't be read.
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
    """
    folder, runner = Path(out), runner or LocalRunner()
    runner.demand_ready()
    record = _opened(folder, setting)
    specs = runs_of([claim for claim in claims if not record.evidence(claim)], setting, folder)
    demand_possible([s for s in specs if not holds_work(Path(str(s.out)))], here=runner.on_this_machine)
    make_folder(folder)
    failed: list[Outcome] = []
    with alone(folder, "being worked in"):
        write_json(folder / CLAIMS_FILE, record.to_dict())
        for claim in claims:
            if record.evidence(claim):
                continue
            specs = runs_of([claim], setting, folder)
            broken = _run(claim, specs, runner, watching or (lambda specs, text: nullcontext()))
            failed += broken
            if not broken:
                environment = read_run(str(specs[0].out), flow=False).environment if specs else {}
                record = record.having(claim, _evidence(claim, setting, folder), environment)
                write_json(folder / CLAIMS_FILE, record.to_dict())
    return record, tuple(failed)


def runs_of(claims: Sequence[Claim], setting: Setting, out: str | Path) -> list[RunSpec]:
    """The runs that the claims' measures are of, each once, a claim's own in the order of its predictions."""
    found: dict[str, RunSpec] = {}
    for claim in claims:
        for prediction in claim.predictions:
            for arm in prediction.arms if prediction.measure.trained else ():
                for seed in range(setting.seeds):
                    spec = arm.spec(setting, Path(out), seed)
                    found[str(spec.out)] = spec
    return list(found.values())


def _opened(folder: Path, setting: Setting) -> Claims:
    """What the folder holds; `FolderError` where it was tried under another setting."""
    if not (folder / CLAIMS_FILE).is_file():
        return Claims(setting)
    record = read_claims(folder)
    there, here = record.to_dict()["setting"], Claims(setting).to_dict()["setting"]
    if parted := [f"{key} is {there[key]!r} there, {here[key]!r} here" for key in here if there[key] != here[key]]:
        raise FolderError(f"{folder} holds claims tried otherwise: {', '.join(parted)}; choose another folder")
    return record


def _run(claim: Claim, specs: Sequence[RunSpec], runner: Runner, watching: Watching) -> list[Outcome]:
    """Train what is not complete; the outcomes of those that did not finish."""
    if not specs:
        return []
    with watching(specs, f"{claim.name}: {len(specs)} runs of {specs[0].epochs} epochs on {specs[0].data}") as watch:
        outcomes = runner.run(specs, watch=watch)
    if any(outcome.status == "interrupted" for outcome in outcomes):
        raise KeyboardInterrupt
    return [outcome for outcome in outcomes if not outcome.complete]


def _evidence(claim: Claim, setting: Setting, out: Path) -> tuple[Evidence, ...]:
    taken: dict[tuple[Callable[[RunSpec], float], str], list[float]] = {}

    def values(prediction: Prediction, side: Side) -> list[float]:
        if isinstance(side, float):
            return [side] * setting.seeds
        measure = prediction.measure
        specs = [side.spec(setting, out, seed) for seed in range(setting.seeds)]
        key = (measure.take, str(specs[0].out))
        if key not in taken:
            taken[key] = [measure.take(spec) for spec in specs]
        return taken[key]

    def weighed(prediction: Prediction) -> Evidence:
        first, second = (values(prediction, side) for side in (prediction.greater, prediction.lesser))
        labels = _label(prediction.greater, setting), _label(prediction.lesser, setting)
        return weigh(prediction, labels, first, second)

    return corrected([weighed(prediction) for prediction in claim.predictions])


def _label(side: Side, setting: Setting) -> str:
    return f"{side:g}" if isinstance(side, float) else side.label(setting)
