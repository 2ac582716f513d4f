"""One server for all tests of a worker: torch is imported once, and each answer runs in a process forked from it."""

from collections.abc import Callable, Iterator

import pytest

from skipstone.learn.judging import judge_source
from skipstone.learn.submission import Server
from skipstone.learn.unit import Unit
from skipstone.learn.verdict import Verdict


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def judge(server: Server) -> Callable[[Unit, str], Verdict]:
    return lambda unit, source: judge_source(unit, source.encode(), server.run)
