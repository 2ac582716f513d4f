"""Claims and what came of them: in the terminal, and as a page of the docs. Every verdict is computed here and now."""

import math
from collections.abc import Sequence

from skipstone.core.codec import Json
from skipstone.experiments.claims import CLAIMS, SETTINGS, Claim, Claims, Evidence, Verdict
from skipstone.experiments.statistics import Sample

_TITLES = {"digits": "Claims", "cifar10": "Claims on CIFAR-10"}
_PAGES = {"digits": "claims", "cifar10": "claims-cifar10"}
_COUNTED = ("parameters", "channels", "weights")
_UNITS = {"%": " %", "nats": " nats", "epochs": " epochs", "decades": " decades", "times": ""}
_COLUMNS = ("condition", "measure", "said to be greater", "said to be less", "difference (95 %)", "p, Holm", "came out")


def claims_text(record: Claims, claims: Sequence[Claim], *, details: bool = False) -> str:
    """Each claim with its verdict; with `details`, the numbers behind it."""
    width = max(len(claim.name) for claim in claims)
    lines = []
    for claim in claims:
        verdict = record.verdict(claim)
        lines += [f"{claim.name:{width}}  {verdict.word}{_tail(verdict)}", f"{'':{width}}  {claim.said}"]
        if details and (evidence := record.evidence(claim)):
            lines += ["", *_table([_COLUMNS, *map(_row, evidence)]), ""]
    return "\n".join([*lines, "", _tried(record)])


def claims_json(record: Claims, claims: Sequence[Claim]) -> Json:
    """The record of these claims, with their verdicts."""
    names = [claim.name for claim in claims]
    data = record.to_dict()
    data["tried"] = [tried for tried in data["tried"] if tried["name"] in names]
    return data | {"verdicts": {claim.name: str(record.verdict(claim)) for claim in claims}}


def claims_page(record: Claims, claims: Sequence[Claim] = CLAIMS) -> str:
    """The page of the docs, in Markdown."""
    rows = [("claim", "what the tutorials say", "here")]
    for claim in claims:
        verdict = record.verdict(claim)
        rows.append((f"[{claim.name}](#{claim.name})", claim.said, f"**{verdict.word}**{_tail(verdict)}"))
    sections = [line for claim in claims for line in _section(record, claim)]
    return "\n".join([*_head(record, claims), "", *_markdown(rows), "", *sections])


def _head(record: Claims, claims: Sequence[Claim]) -> list[str]:
    return f"""# {_TITLES[record.setting.data]}

What tutorials say of skip connections, each statement tried on {record.setting.data}. This page is written by

    {_command(record, claims)}

and every verdict on it is computed from the numbers beside it. {_tried(record)[0].upper()}{_tried(record)[1:]}.

How it is decided, all of it written down before anything was trained:

- A claim is a list of predictions: under a *condition*, a measure of one network exceeds that of another. Measures,
  networks, seeds and margins are in `skipstone/experiments/claims/`, a file a claim.
- n counts seeds, ± is the standard deviation between them (n - 1). Differences of two networks are Welch's, those of
  networks that start from the same weights are paired by seed (Student), those from a number known beforehand are
  Student's for one sample; two-sided, 95 %. Counts and single steps of arithmetic depend on no chance and are compared
  as they are.
- A prediction came out *as said* where the interval leaves out zero on the side that was said, and p is below 0.05
  after Holm's correction for all predictions of its claim; *opposite* where both hold on the other side; else *not
  shown*.
- A condition holds where all of its predictions came out as said. The claim *holds* where all conditions do, *holds
  when* some do, and *does not hold here* where none does, which may mean that {record.setting.seeds} seeds could not
  show it.

{_beside(record, claims)}
""".splitlines()


def _command(record: Claims, claims: Sequence[Claim]) -> str:
    """What writes the page: the claims by name unless all were tried, and where the setting is not the usual."""
    setting, usual = record.setting, SETTINGS[record.setting.data]
    tried = [claim.name for claim in claims if record.evidence(claim)]
    names = tried if len(tried) < len(claims) else []
    data = [] if setting.data == "digits" else ["--data", setting.data]
    own = [
        f"--{name} {getattr(setting, name)}"
        for name in ("epochs", "width", "seeds", "device")
        if getattr(setting, name) != getattr(usual, name)
    ]
    page = _PAGES[setting.data]
    return " ".join(["skipstone claims", *names, *data, *own, f"--out runs/{page} --page docs/{page}.md"])


def _beside(record: Claims, claims: Sequence[Claim]) -> str:
    """How far the page goes, and where that of the other data is."""
    if record.setting.data == "digits":
        return f"""Small images and short training: what is found here is found here. The same predictions on CIFAR-10,
as far as they were run: [claims on CIFAR-10]({_PAGES["cifar10"]}.md)."""
    lines = ["Short training of narrow networks: what is found here is found here."]
    if untried := sum(not record.evidence(claim) for claim in claims):
        lines += [f"Not tried yet: {untried}, planned (`skipstone claims --data cifar10 --plan`);"]
        lines += ["the command above goes on with them where they are named, too."]
    return "\n".join([*lines, f"All of them on the digits: [claims]({_PAGES['digits']}.md)."])


def _section(record: Claims, claim: Claim) -> list[str]:
    verdict, evidence = record.verdict(claim), record.evidence(claim)
    lines = [f"## {claim.name}", "", f"{claim.said} ({claim.source})", "", claim.tested, ""]
    lines += [f"**{verdict.word[0].upper()}{verdict.word[1:]}**{_tail(verdict)}.", ""]
    return [*lines, *_markdown([_COLUMNS, *map(_row, evidence)]), ""] if evidence else lines


def _tail(verdict: Verdict) -> str:
    """What follows the word: the conditions, and how many there are besides."""
    if verdict.word in ("holds", "not tried yet"):
        return ""
    counts = (("opposite", verdict.against), ("not shown", verdict.unshown))
    rest = ", ".join(f"{word} for {len(names)}" for word, names in counts if names)
    return f" {'; '.join(verdict.when)} ({rest})" if verdict.when else f" ({rest})"


def _tried(record: Claims) -> str:
    setting, environment = record.setting, record.environment
    packages = environment.get("packages", {})
    where = [f"torch {packages['torch']}"] if "torch" in packages else []
    where += [str(environment["processor"])] if environment.get("processor") else []
    where += ["one thread a run"] if where else []
    text = f"tried on {setting.data}: {setting.epochs} epochs, width {setting.width}, {setting.seeds} seeds"
    return f"{text} ({', '.join(where)})" if where else text


def _row(each: Evidence) -> tuple[str, ...]:
    sides = ((each.greater, each.first), (each.lesser, each.second))
    said_greater, said_less = (
        _number(each, sample.mean) if _is_number(label) else f"{label}: {_spread(each, sample)}"
        for label, sample in sides
    )
    p = "" if each.p_corrected is None else f"{each.p_corrected:.2g}"
    return each.condition, each.measure, said_greater, said_less, _difference(each), p, each.outcome


def _difference(each: Evidence) -> str:
    low, high = each.difference.low, each.difference.high
    scale = 100 if each.unit == "%" else 1
    text = _signed(each, each.difference.estimate * scale)
    if low is not None and high is not None:
        text += f" ({_signed(each, low * scale)} to {_signed(each, high * scale)})"
    unit = " points" if each.unit == "%" else ""
    return f"{text}{unit}" + (f", margin {each.margin * scale:g}" if each.margin else "")


def _spread(each: Evidence, sample: Sample) -> str:
    """Mean, standard deviation and n; of what depends on no chance, the value or its range."""
    low, high = min(sample.values), max(sample.values)
    if each.test == "exact":
        return _number(each, low) if low == high else f"{_number(each, low)} to {_number(each, high)}"
    scale = 100 if each.unit == "%" else 1
    sd = "" if sample.sd is None else f" ± {_plain(each, sample.sd * scale)}"
    return f"{_plain(each, sample.mean * scale)}{sd}{_UNITS.get(each.unit, '')}, n = {sample.n}"


def _number(each: Evidence, value: float) -> str:
    return f"{value:,.0f}" if each.unit in _COUNTED else f"{_plain(each, value * (100 if each.unit == '%' else 1))}"


def _plain(each: Evidence, value: float) -> str:
    if not math.isfinite(value):
        return "NaN"
    return f"{value:.1f}" if each.unit in ("%", "epochs") else f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"


def _signed(each: Evidence, value: float) -> str:
    if each.unit in _COUNTED:
        return f"{value:+,.0f}"
    return f"{'+' if value >= 0 else '-'}{_plain(each, abs(value))}"


def _is_number(label: str) -> bool:
    return label.replace(".", "", 1).isdecimal()


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = rows
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]
