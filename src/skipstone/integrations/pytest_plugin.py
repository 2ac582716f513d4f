"""A pytest fixture: `def test_net(assert_skips_ok): assert_skips_ok(Net(), (2, 3, 32, 32))`."""

from collections.abc import Callable

import pytest


@pytest.fixture
def assert_skips_ok() -> Callable[..., None]:
    """`skipstone.assert_skips_ok`: fails the test with the findings unless the network's skips are right."""
    from skipstone.checks import assert_skips_ok as check_it

    return check_it
