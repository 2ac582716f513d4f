"""What a search found, in the terminal: the finals first, since they alone say whether anything was won."""

from skipstone.core.codec import Json
from skipstone.experiments.search import Finalist, Found
from skipstone.experiments.statistics import Sample
from skipstone.report import words


def found_text(found: Found) -> str:
    """The trials in a line, the finals as a table, the verdict, and what mattered."""
    return "\n".join([*_trials(found), "", *_finals(found), "", verdict(found), *_importance(found)])


def verdict(found: Found) -> str:
    """Does the best finalist beat the default? In a sentence, with the interval and n."""
    if not found.finalists:
        return "No trial but the default ran to its end: there is nothing to compare with it."
    best = found.finalists[0]
    n = f"n = {best.test_accuracy.n} and {found.default_test.n} seeds"
    name = f"trial {best.number}, the best on the validation images,"
    if best.difference.low is None or best.difference.high is None:
        return f"No verdict: {name} is {_signed(best.difference.estimate)} points, without an interval ({n})."
    several = f", Holm's p {best.p_corrected:.2g} for {len(found.finalists)}" if best.p_corrected is not None else ""
    told = f"{_interval(best)}{several}, {n}"
    if found.beats_default:
        return f"{name[0].upper()}{name[1:]} beats the default by {words.points(best.difference.estimate)} ({told})."
    return (
        f"Not shown to beat the default: {name} differs from it by {_signed(best.difference.estimate)} points ({told})."
    )


def _trials(found: Found) -> list[str]:
    counts = [f"{found.num_given_up} given up early"] if found.num_given_up else []
    counts += [f"{found.num_failed} failed"] if found.num_failed else []
    rest = f" ({', '.join(counts)})" if counts else ""
    return [
        f"{found.num_trials} trials of {found.epochs} epochs on {found.data}{rest}: {found.seconds / 60:.1f} minutes, "
        "the test images untouched"
    ]


def _finals(found: Found) -> list[str]:
    seeds = f"{found.seeds[0]} to {found.seeds[-1]}" if len(found.seeds) > 1 else str(found.seeds[0])
    lines = [f"finals over {len(found.seeds)} fresh seeds ({seeds}), the best on the validation images first:", ""]
    lines.append(_cells("", "parameters", "validation", "test", "test less default, points"))
    lines.append(_row("default", found.default_parameters, found.default_val, found.default_test, ""))
    for each in found.finalists:
        against = f"{_signed(each.difference.estimate)} ({_interval(each, short=True)})"
        name = f"trial {each.number}"
        lines.append(_row(name, each.num_parameters, each.val_accuracy, each.test_accuracy, against))
        lines.append("    " + ", ".join(f"{name}={_short(value)}" for name, value in each.settings.items()))
    return lines


def _row(name: str, parameters: int, val: Sample, test: Sample, against: str) -> str:
    return _cells(name, f"{parameters:,}", words.spread(val), words.spread(test), against)


def _cells(name: str, parameters: str, val: str, test: str, against: str) -> str:
    return f"  {name:10}{parameters:>11}{val:>15}{test:>15}  {against}".rstrip()


def _importance(found: Found) -> list[str]:
    if not found.importance:
        return []
    lines = [
        "",
        "what mattered among the trials (share of the variance of their ranks, 90 % interval; above chance?):",
        "",
    ]
    for each in found.importance:
        above = "yes" if each.low > each.chance else "not shown"
        lines.append(f"  {each.factor:18}{each.share:5.0%}  {each.low:5.0%} to {each.high:4.0%}   {above}")
    return lines


def _interval(each: Finalist, *, short: bool = False) -> str:
    low, high = each.difference.low, each.difference.high
    if low is None or high is None:
        return "no interval"
    return f"{'' if short else '95 % interval '}{_signed(low)} to {_signed(high)}"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "\N{MINUS SIGN}")


def _short(value: object) -> object:
    if isinstance(value, list | tuple):
        return f"({','.join(map(str, value))})"
    return f"{value:.3g}" if isinstance(value, float) else value


def found_json(found: Found) -> Json:
    """`found.json`'s content, with the verdict in words."""
    return found.to_dict() | {"beats_default": found.beats_default, "verdict": verdict(found)}
