"""What is told of claims: each verdict's words, numbers with n and spread, in the terminal and as a page."""

from skipstone.experiments.claims import Arm, Claim, Claims, Measure, Prediction, Setting
from skipstone.experiments.claims.verdict import corrected, weigh
from skipstone.report.claimed import claims_json, claims_page, claims_text

HIGH, LOW = (0.92, 0.93, 0.94), (0.61, 0.62, 0.60)


def predicted(condition, unit="%", *, exact=False, margin=0.0, lesser=None):
    measure = Measure("accuracy", unit, lambda spec: 0.0, exact=exact)
    return Prediction(condition, measure, Arm("resnet8"), Arm("plain8") if lesser is None else lesser, margin)


def claim(name, *predictions):
    return Claim(name, f"{name} is said.", "a paper", "So it is tested.", predictions)


def tried(*given):
    """A record of (claim, the values of both sides of each of its predictions)."""
    record = Claims(Setting(seeds=3))
    for each, values in given:
        labels = [("resnet8", "plain8" if isinstance(p.lesser, Arm) else f"{p.lesser:g}") for p in each.predictions]
        weighed = [weigh(p, label, *pair) for p, label, pair in zip(each.predictions, labels, values, strict=True)]
        record = record.having(each, corrected(weighed), {})
    return record


HOLDS, PARTLY = claim("holds", predicted("x")), claim("partly", predicted("x"), predicted("y"), predicted("z"))
NEVER, UNTRIED = claim("never", predicted("x"), predicted("y")), claim("untried", predicted("x"))
ALL = (HOLDS, PARTLY, NEVER, UNTRIED)
RECORD = tried(
    (HOLDS, [(HIGH, LOW)]), (PARTLY, [(HIGH, LOW), (LOW, HIGH), (LOW, LOW)]), (NEVER, [(LOW, HIGH), (LOW, LOW)])
)  # fmt: skip


def test_each_verdict_in_words():
    text = claims_text(RECORD, ALL)
    assert "holds    holds\n" in text
    assert "partly   holds when x (opposite for 1, not shown for 1)\n" in text
    assert "never    does not hold here (opposite for 1, not shown for 1)\n" in text
    assert "untried  not tried yet\n         untried is said." in text
    assert text.endswith("tried on digits: 15 epochs, width 8, 3 seeds")
    assert claims_json(RECORD, ALL[:2])["verdicts"] == {"holds": "holds", "partly": "holds when x"}


def test_numbers_bear_n_spread_and_interval():
    text = claims_text(RECORD, [HOLDS], details=True)
    assert "resnet8: 93.0 ± 1.0 %, n = 3" in text
    assert "plain8: 61.0 ± 1.0 %, n = 3" in text
    assert "+32.0 (+29.7 to +34.3) points" in text
    assert "as said" in text


def test_what_is_counted_is_told_as_it_is():
    counted = claim(
        "counted", predicted("a", "parameters", exact=True), predicted("b", "weights", exact=True, lesser=1.0)
    )
    record = tried((counted, [((300_000.0,) * 3, (200_000.0,) * 3), ((5.0, 7.0, 6.0), (1.0,) * 3)]))
    text = claims_text(record, [counted], details=True)
    rows = [line.split() for line in text.splitlines()]
    assert ["a", "accuracy", "resnet8:", "300,000", "plain8:", "200,000", "+100,000", "as", "said"] in rows
    assert ["b", "accuracy", "resnet8:", "5", "to", "7", "1", "+5", "as", "said"] in rows


def test_the_page_has_a_row_and_a_section_for_each():
    page = claims_page(RECORD, ALL)
    assert "| [partly](#partly) | partly is said. | **holds when** x (opposite for 1, not shown for 1) |" in page
    assert (
        "\n## never\n\nnever is said. (a paper)\n\nSo it is tested.\n\n**Does not hold here** (opposite for 1" in page
    )
    assert "\n**Not tried yet**.\n" in page
    assert page.count("| x | accuracy | resnet8: ") == 3
    assert "which may mean that 3 seeds could not" in page


def test_the_page_says_what_wrote_it_and_what_is_left():
    digits = claims_page(RECORD, ALL)
    assert "\n    skipstone claims holds partly never --seeds 3 --out runs/claims --page docs/claims.md\n" in digits
    assert "(claims-cifar10.md)" in digits
    record = Claims(Setting("cifar10", epochs=3, width=16, seeds=6), RECORD.tried)
    page = claims_page(record, ALL)
    assert page.startswith("# Claims on CIFAR-10\n")
    assert "    skipstone claims holds partly never --data cifar10 --epochs 3 --out runs/claims-cifar10 --page" in page
    assert "Not tried yet: 1, planned" in page
    assert "planned" not in claims_page(record, ALL[:3]), "all were tried"
    assert "\n    skipstone claims --data cifar10 --epochs 3 --out" in claims_page(record, ALL[:3])
