import pytest


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """For the processes that tests start, as tests/conftest.py has it for this one: digits are too small to share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
