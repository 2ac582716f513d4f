"""Which settings to try next, by Optuna's tree-structured Parzen estimator (J. Bergstra 2011, NeurIPS 24).

Nothing is kept between two calls: a study is made anew from the records of the trials, which are thereby the only
storage there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from skipstone.core.errors import SkipstoneError
from skipstone.experiments.search.space import Factor

if TYPE_CHECKING:
    from optuna.study import Study

_TRIES = 10
"""So often a suggestion that was tried already is asked for anew; then so many times _TRIES by chance alone, which
leaves the best region sooner; then a small space counts as exhausted."""


@dataclass(frozen=True, slots=True)
class Told:
    """A trial that ended: settings, validation accuracy after each epoch, whether it ran to its end."""

    settings: dict[str, Any]
    accuracies: tuple[float, ...]
    end: Literal["whole", "given up", "failed"]


def demand_optuna() -> "Any":
    """The module, or one line that says how to get it."""
    try:
        import optuna
    except ImportError as error:
        raise SkipstoneError(f"a search needs Optuna ({error}); install it: pip install 'skipstone[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def suggest(space: Sequence[Factor], told: Sequence[Told], *, count: int, seed: int) -> list[dict[str, Any]]:
    """Up to `count` settings that were not tried yet; fewer where the space holds no more. A function of what it is
    given alone."""
    optuna = demand_optuna()
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=10)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {factor.name: _distribution(factor) for factor in space}
    for trial in told:
        study.add_trial(_frozen(trial, space, distributions))
    tried = [trial.settings for trial in told]
    found: list[dict[str, Any]] = []
    for attempt in range(count + _TRIES * (1 + _TRIES)):
        if len(found) == count:
            break
        if attempt == count + _TRIES:
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        asked = study.ask(distributions)
        settings = {factor.name: _value(factor, asked.params[factor.name]) for factor in space}
        if settings in tried:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            found.append(settings)
            tried.append(settings)
    return found


def canonical(space: Sequence[Factor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as read from a file, with the space's own values: a list is the tuple it was."""
    return {factor.name: _value(factor, _label(factor, settings[factor.name])) for factor in space}


def frozen_study(space: Sequence[Factor], settings: Sequence[dict[str, Any]], values: Sequence[float]) -> "Study":
    """A study of trials that all ran to their end with these values."""
    optuna = demand_optuna()
    study: Study = optuna.create_study(direction="maximize")
    distributions = {factor.name: _distribution(factor) for factor in space}
    for each, value in zip(settings, values, strict=True):
        params = {factor.name: _label(factor, each[factor.name]) for factor in space}
        study.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=distributions))
    return study


def _frozen(told: Told, space: Sequence[Factor], distributions: dict[str, Any]) -> Any:
    optuna = demand_optuna()
    states = optuna.trial.TrialState
    state = {"whole": states.COMPLETE, "given up": states.PRUNED, "failed": states.FAIL}[told.end]
    return optuna.trial.create_trial(
        state=state,
        value=told.accuracies[-1] if told.end == "whole" else None,
        params={factor.name: _label(factor, told.settings[factor.name]) for factor in space},
        distributions=distributions,
        intermediate_values=dict(enumerate(told.accuracies, start=1)),
    )


def _distribution(factor: Factor) -> Any:
    """Choices by their text: Optuna keeps nothing else safely."""
    distributions = demand_optuna().distributions
    if factor.choices:
        return distributions.CategoricalDistribution(tuple(map(str, factor.choices)))
    if factor.whole:
        return distributions.IntDistribution(int(factor.low), int(factor.high), log=factor.log)
    return distributions.FloatDistribution(factor.low, factor.high, log=factor.log)


def _label(factor: Factor, value: Any) -> Any:
    """A value as Optuna holds it; one read from JSON may be a list where the choice is a tuple."""
    if not factor.choices:
        return value
    return next(str(choice) for choice in factor.choices if _plain(choice) == _plain(value))


def _value(factor: Factor, label: Any) -> Any:
    return next(c for c in factor.choices if str(c) == label) if factor.choices else factor.number(label)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
