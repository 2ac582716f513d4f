import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Digits are too small to share out, and threads that outnumber the cores wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # for the processes that tests start
        yield
    torch.set_num_threads(before)
