"""With and without skips: four networks, six seeds each, paired by seed; writes docs/pairs.md.

    python benchmarks/pairs/pairs.py runs/pairs --page docs/pairs.md      (in the project's folder)

Each network is compared with itself after `ablate:all`, by `skipstone.compare`. Runs that are complete are kept, cut
ones resume. `--only unet` trains one pair; the page shows those that are trained, and names the others.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipstone.core.codec import RecordError
from skipstone.experiments import Comparison, Difference, Group, Sample, compare, plan, read_comparison, read_group_runs
from skipstone.experiments.networks import read_networks
from skipstone.experiments.statistics import CONFIDENCE, holm, sample
from skipstone.report import words, write_report
from skipstone.runs.records import Recipe, RunRecord, RunSpec
from skipstone.runs.variants import Variant

SEEDS = 6
WITH, WITHOUT = "as-is", "plain"
_HERE = "benchmarks/pairs"


@dataclass(frozen=True, slots=True)
class Pair:
    """A network and what it is trained on; `note` is what a reader has to know of it."""

    folder: str
    title: str
    model: str
    note: str
    data: str = "digits"
    epochs: int = 15
    options: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=Recipe)

    def specs(self, out: Path) -> tuple[RunSpec, ...]:
        base = RunSpec(data=self.data, epochs=self.epochs, options=self.options, recipe=self.recipe, device="cpu")
        variants = [Variant(WITH), Variant(WITHOUT, ("ablate:all",))]
        return plan([self.model], out=out / self.folder, base=base, seeds=SEEDS, variants=variants)


PAIRS = (
    Pair("resnet20", "ResNet-20", "resnet20", "9 additions, width 8, on the digits.", options={"width": 8}),
    Pair(
        "densenet", "DenseNet-BC-40-6", "densenet_bc40_6",
        "18 concatenations, growth 6, on the digits. Without them each layer reads the newest 6 channels alone, so it "
        "has fewer weights.",
    ),
    Pair(
        "unet", "U-Net", "unet",
        "2 concatenations from encoder to decoder, width 8, batch norm. The task: up to four digits on a canvas of "
        "20x20, and for each pixel its digit, or ground; 405 canvases for training, 200 of other digits for the test. "
        "Accuracy is a mean over pixels, of which 80.6 % are ground.",
        data=f"{_HERE}/canvas.py:make_data", options={"width": 8, "levels": 2, "norm": "batch"},
        recipe=Recipe(batch_size=16),
    ),
    Pair(
        "vit", "ViT", f"{_HERE}/vit.py:ViT",
        "12 additions: 6 blocks of width 32, patches of 2x2, on the digits; AdamW.",
        epochs=20, recipe=Recipe("adamw", lr=2e-3, weight_decay=0.05, batch_size=32),
    ),
)  # fmt: skip


def is_trained(pair: Pair, out: Path) -> bool:
    try:
        return read_comparison(out / pair.folder).complete
    except RecordError:
        return False


def train(pair: Pair, out: Path, workers: int | None) -> None:
    """Train what is left of a pair, and write its report."""
    folder = out / pair.folder
    if is_trained(pair, out):
        return
    compare(pair.specs(out), folder, against=WITHOUT, workers=workers)
    write_report(folder, title=f"{pair.title} with and without its skips")


@dataclass(frozen=True, slots=True)
class Read:
    """A pair as read back: its groups with and without skips, their difference, multiply-adds, gradients."""

    pair: Pair
    comparison: Comparison
    groups: tuple[Group, Group]
    runs: tuple[Sequence[RunRecord], Sequence[RunRecord]]
    macs: tuple[int, int]

    @property
    def difference(self) -> Difference:
        return self.comparison.differences[0]


def read(pair: Pair, out: Path) -> Read:
    comparison = read_comparison(out / pair.folder)
    by_variant = {group.variant: group for group in comparison.groups}
    groups = by_variant[WITH], by_variant[WITHOUT]
    macs = {network.label: network.macs for network in read_networks(out / pair.folder).networks}
    runs = [read_group_runs(out / pair.folder, group) for group in groups]
    return Read(pair, comparison, groups, (runs[0], runs[1]), (macs[groups[0].label], macs[groups[1].label]))


def decades(runs: Sequence[RunRecord], moment: int) -> Sample:
    """log10 of the gradient's norm in the first layer's weight over the last layer's, at the first or last record."""
    found = []
    for run in runs:
        first, last = run.flow[moment].layers[0].grad_norm, run.flow[moment].layers[-1].grad_norm
        found.append(math.log10(first / last) if first and last else math.nan)
    return sample(found, floor=-math.inf, ceiling=math.inf)


def page(reads: Sequence[Read]) -> str:
    # Planned are all of them: one that is not trained yet counts as one that shows nothing.
    ps = [each.difference.test_accuracy.p for each in reads]
    corrected = holm([*ps, *[1.0] * (len(PAIRS) - len(reads))])[: len(reads)]
    rows = [row for each in reads for row in _rows(each)]
    told = [_told(each, p) for each, p in zip(reads, corrected, strict=True)]
    notes = [f"- **{each.pair.title}**: {each.pair.note} {each.pair.epochs} epochs." for each in reads]
    missing = [pair.title for pair in PAIRS if pair not in [each.pair for each in reads]]
    environment = reads[0].runs[0][0].environment
    where = f"torch {environment['packages']['torch']}, {environment['processor']}, one thread a run"
    return "\n".join(
        [
            "# With and without skips",
            "",
            f"Networks against themselves without any of their skips, {SEEDS} seeds each ({where}).",
            *([f"Planned and not trained yet: {', '.join(missing)}."] if missing else []),
            "This page is written by `python benchmarks/pairs/pairs.py runs/pairs --page docs/pairs.md`.",
            "",
            *notes,
            "",
            "The networks without are made by `ablate:all`, after initialisation: for one seed both start from the",
            "same weights where they share them, and see the same batches. So the difference is taken seed by seed",
            "(Student's paired interval, 95 %), and p is corrected by Holm for all pairs planned. All of it was fixed",
            "before anything was trained; recipes were not tuned for either side. ± is the standard deviation",
            "between seeds.",
            "",
            _line(("network", "skips", "parameters", "multiply-adds", "training", "test", "n")),
            _line(("---",) * 7),
            *rows,
            "",
            _line(("network", "test accuracy, with less without", "p, Holm", "Hedges' g", "")),
            _line(("---",) * 5),
            *told,
            "",
            "Gradients: decades between the norms in the first and the last layer's weights, log10(first / last), so",
            "that 0 is kept, above 0 grown towards the input, below 0 shrunk.",
            "",
            _line(("network", "skips", "first step", "last step of training")),
            _line(("---",) * 4),
            *(row for each in reads for row in _gradients(each)),
            "",
        ]
    )


def _rows(each: Read) -> list[str]:
    return [
        _line(
            (
                each.pair.title, name, f"{group.num_parameters:,}", f"{macs:,}", words.spread(group.train_accuracy),
                words.spread(group.test_accuracy), str(group.test_accuracy.n),
            )
        )
        for name, group, macs in zip(("with", "without"), each.groups, each.macs, strict=True)
    ]  # fmt: skip


def _told(each: Read, p: float | None) -> str:
    """The comparison puts the higher mean first; here it is always with less without."""
    found = each.difference
    turned = found.first != each.groups[0].label
    sign = -1 if turned else 1
    low, high = found.test_accuracy.low, found.test_accuracy.high
    shown = "no interval"
    excludes = False
    if low is not None and high is not None:
        low, high = sorted((sign * low, sign * high))
        shown, excludes = f"{100 * low:+.1f} to {100 * high:+.1f}", low > 0 or high < 0
    estimate = sign * found.test_accuracy.estimate
    established = excludes and p is not None and p < 1 - CONFIDENCE
    said = ("the skips help" if estimate > 0 else "the skips harm") if established else "no difference shown"
    effect = "" if found.effect is None else f"{sign * found.effect:.1f}"
    return _line(
        (each.pair.title, f"{100 * estimate:+.1f} points ({shown})", "" if p is None else f"{p:.2g}", effect, said)
    )


def _gradients(each: Read) -> list[str]:
    return [
        _line((each.pair.title, name, *(_plain(decades(runs, moment)) for moment in (0, -1))))
        for name, runs in zip(("with", "without"), each.runs, strict=True)
    ]


def _plain(found: Sample) -> str:
    if math.isnan(found.mean):
        return "a gradient of exactly zero"
    return f"{found.mean:+.2f}" + ("" if found.sd is None else f" ± {found.sd:.2f}") + f", n = {found.n}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--only", nargs="*", choices=[pair.folder for pair in PAIRS], help="none: train nothing")
    given = parser.parse_args()
    for pair in PAIRS:
        if given.only is None or pair.folder in given.only:
            train(pair, given.out, given.workers)
    if given.page:
        trained = [pair for pair in PAIRS if is_trained(pair, given.out)]
        given.page.write_text(page([read(pair, given.out) for pair in trained]), encoding="utf-8")


if __name__ == "__main__":
    main()
