"""Steps replayed as a CUDA graph: the same numbers as steps taken one by one.

pytest -m gpu tests/training
"""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Recipe, RunSpec, read_run
from skipstone.training import train
from skipstone.training.replay import Replay

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


def on_gpu(test):
    return pytest.mark.gpu(NO_GPU(test))


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 10)
    return nn.Sequential(*layers).to("cuda", torch.float64)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(6, 1, 8, 8, dtype=torch.float64).cuda(), torch.randint(10, (6,)).cuda()


def work_of(net: nn.Module):
    def work(x, y):
        logits = net(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        return logits.detach(), loss.detach()

    return work


def state_of(net: nn.Module) -> list[torch.Tensor]:
    return [t.detach().clone() for t in (*net.parameters(), *net.buffers())]


def after(step, net: nn.Module, seed: int) -> list[torch.Tensor]:
    """Loss, gradients and running statistics after a step on a batch, its dropout drawn from `seed`."""
    x, y = batch(seed)
    torch.manual_seed(seed)
    _, loss = step(x, y)
    return [loss.clone(), *(p.grad.clone() for p in net.parameters()), *(b.clone() for b in net.buffers())]


@on_gpu
def test_a_replay_is_the_step():
    ours, theirs = network(), network()
    before, states = state_of(ours), torch.cuda.get_rng_state()
    replay = Replay(work_of(ours), ours, *batch(0))
    assert all(map(torch.equal, state_of(ours), before)), "trying the step has moved something"
    assert torch.equal(torch.cuda.get_rng_state(), states)

    def by_hand(x, y):
        theirs.zero_grad()
        return work_of(theirs)(x, y)

    for seed in range(1, 4):
        if seed == 3:  # a step beside it, as a watched one is
            ours.zero_grad()
            work_of(ours)(*batch(9))
            work_of(theirs)(*batch(9))
        for one, other in zip(after(replay, ours, seed), after(by_hand, theirs, seed), strict=True):
            torch.testing.assert_close(one, other)
    assert not torch.equal(after(replay, ours, 1)[0], after(replay, ours, 2)[0])


@on_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_curve_of_a_run_is_the_same(tmp_path, precision):
    spec = RunSpec(model="skipstone:resnet8", options={"width": 8}, device="cuda", epochs=6,
                   recipe=Recipe(precision=precision), out=str(tmp_path / "steps"))  # fmt: skip
    graphed = replace(spec, recipe=replace(spec.recipe, cuda_graph=True), out=str(tmp_path / "graph"))
    train(spec)
    train(graphed)
    ours, theirs = (read_run(s.out).epochs for s in (graphed, spec))
    # Sums of a GPU come in any order, and training parts what began nearly equal.
    for epoch, within in ((0, 0.02), (-1, 0.2)):
        assert ours[epoch].train_loss == pytest.approx(theirs[epoch].train_loss, rel=within, abs=0.02)
    assert ours[-1].val_accuracy > 0.9


@on_gpu
def test_what_a_graph_cannot_hold_is_told(tmp_path):
    (tmp_path / "waits.py").write_text(
        "from torch import nn\nclass Waits(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(64, 10)\n    def forward(self, x):\n        x = x.flatten(1)\n"
        "        return self.fc(x if x.mean().item() < 9 else -x)\n"
    )
    spec = RunSpec(model=f"{tmp_path / 'waits.py'}:Waits", device="cuda", recipe=Recipe(cuda_graph=True))
    with pytest.raises(SkipstoneError, match=r"cannot be trained .*captur"):
        train(spec)


def test_a_graph_wants_one_gpu():
    spec = RunSpec(device="cpu", recipe=Recipe(cuda_graph=True))
    with pytest.raises(SkipstoneError, match="cuda_graph is of one CUDA device, and this run is on cpu; leave it out"):
        train(spec)
