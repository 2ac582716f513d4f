"""For test suites: a network whose skips are not right fails the test, with the findings as the message."""

from collections.abc import Iterable

from torch import nn

from skipstone.checks.checking import check
from skipstone.tracing.session import Mode


def assert_skips_ok(
    model: nn.Module,
    example: object,
    *,
    mode: Mode | None = None,
    ignore: Iterable[str] = (),
    skips: int | None = None,
) -> None:
    """Raise AssertionError unless `check` finds no error and no warning.

    Args:
        model: any module.
        example: an example input, as for `check`.
        mode: "train" or "eval", as for `check`.
        ignore: codes to leave out.
        skips: how many skip connections (identity, projection, resample, norm) there must be, if given.
    """
    report = check(model, example, mode=mode, ignore=ignore)
    if report.errors or report.warnings or report.partial:
        raise AssertionError(f"{type(model).__name__}:\n{report}")
    found = sum(skip.is_block_skip for skip in report.skips)
    if skips is not None and found != skips:
        raise AssertionError(f"{type(model).__name__} has {found} skips, expected {skips}:\n{report}")
