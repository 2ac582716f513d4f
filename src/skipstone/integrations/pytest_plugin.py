"""For pytest: a fixture, and explanations of failing tests.

`def test_net(assert_skips_ok): assert_skips_ok(Net(), (2, 3, 32, 32))` holds a network's skips right. With
`--skipstone`, a test that fails in a network, a loss or a backward pass gets a section with what is wrong in it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

_OBSERVER = pytest.StashKey[Any]()  # an Observer; its type would import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("skipstone").addoption(
        "--skipstone",
        action="store_true",
        help="explain tests that fail in a PyTorch network, its loss or its backward pass",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--skipstone"):
        from skipstone.programs.observer import Observer

        config.stash[_OBSERVER] = Observer()
        config.stash[_OBSERVER].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _OBSERVER in config.stash:
        config.stash[_OBSERVER].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    if call.excinfo is not None and _OBSERVER in item.config.stash:
        from skipstone.programs.hooks import without_our_frames

        without_our_frames(call.excinfo.value)
    report = yield
    if call.excinfo is not None and report.failed and _OBSERVER in item.config.stash:  # type: ignore[attr-defined]
        from skipstone.programs.hooks import explanation_text

        text = explanation_text(call.excinfo.value, item.config.stash[_OBSERVER])
        if text:
            report.sections.append(("skipstone", text))  # type: ignore[attr-defined]
    return report


@pytest.fixture
def assert_skips_ok() -> Callable[..., None]:
    """`skipstone.assert_skips_ok`: fails the test with the findings unless the network's skips are right."""
    from skipstone.checks import assert_skips_ok as check_it

    return check_it
