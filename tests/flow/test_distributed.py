"""Two gloo ranks: the norms are those of one process with the whole batch. Sharded parameters are refused."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

RANK = """
import sys, torch, torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from skipstone.core.errors import SkipstoneError
from skipstone.flow import gradient_flow, watch

rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

x, y = torch.randn(12, 6, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3
whole = gradient_flow(net(), (x, y))
model = nn.parallel.DistributedDataParallel(net())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
part = slice(6 * rank, 6 * rank + 6)
with watch(model, optimizer, across_ranks=True) as flow:
    F.cross_entropy(model(x[part]), y[part]).backward()
    optimizer.step()
for one, all_of_it in zip(flow.last.layers, whole.layers, strict=True):
    assert one.name == all_of_it.name, one
    assert abs(one.grad_norm / all_of_it.grad_norm - 1) < 1e-5, (one, all_of_it)
    assert abs(one.output_grad_norm / all_of_it.output_grad_norm - 1) < 1e-5, (one, all_of_it)
class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
    def forward(self, x):
        return self.head(x + self.two(torch.relu(self.one(x))))
torch.manual_seed(0)
bare = Skip()
(looked,) = gradient_flow(bare, (x[part], y[part]), skips=True).skips
model = nn.parallel.DistributedDataParallel(bare)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with watch(model, optimizer, skips=True, across_ranks=True) as flow:
    F.cross_entropy(model(x[part]), y[part]).backward()
    optimizer.step()
(skip,) = flow.last.skips  # of this rank's own samples
assert abs(skip.branch_grad / looked.branch_grad - 1) < 1e-5, (skip, looked)
from torch.distributed.fsdp import fully_shard
sharded = net()
fully_shard(sharded)
try:
    with watch(sharded, torch.optim.SGD(sharded.parameters(), lr=0.1)):
        pass
except SkipstoneError as error:
    assert "0.weight is sharded (DTensor)" in str(error), error
    print("fine")
dist.barrier()
dist.destroy_process_group()
"""


def test_two_ranks_see_the_whole_batch(tmp_path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "rank.py").write_text(RANK)
    ranks = [
        subprocess.Popen(
            [sys.executable, "rank.py", str(rank), str(port)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=300)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert all("fine" in text for text in told)
