"""Random networks with planted skips: what is found is what was planted, kind by kind, in the order of the pass."""

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone.skips import find_skips
from skipstone.tracing import trace

WIDTH = 8
Step = tuple[object, ...]


def conv(kernel: int = 3, c_in: int = WIDTH, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, WIDTH, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(WIDTH))


def branch(num_layers: int) -> nn.Sequential:
    layers = [layer for _ in range(num_layers) for layer in (conv(), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Planted(nn.Module):
    """Runs a list of steps, each one a tuple of its name and settings, on (N, 8, H, W)."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = steps
        self.parts = nn.ModuleList(self.make(step) for step in steps)

    def make(self, step: Step) -> nn.Module:
        name, *rest = step
        match name:
            case "residual" | "in place" | "scaled" | "pooled" | "normed" | "subtracted" | "learned bias":
                return branch(rest[0])
            case "projection":
                return nn.ModuleList([conv(1), branch(rest[0] + 1)])
            case "gate":
                return nn.Conv2d(WIDTH, WIDTH, 1)
            case "dense":
                return nn.ModuleList([branch(rest[0]), conv(1, 2 * WIDTH)])
            case "parallel":
                return nn.ModuleList([branch(1), branch(2)])
            case "nested":
                return nn.ModuleList([branch(rest[0]), branch(rest[0])])
            case "long add" | "long cat":
                return nn.ModuleList([branch(1), Planted(rest[0]), conv(1, 2 * WIDTH)])
            case "u":
                return nn.ModuleList([Planted(rest[0]), nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2), conv(1, 2 * WIDTH)])
        return branch(1)

    def forward(self, x):
        for step, part in zip(self.steps, self.parts, strict=True):
            x = getattr(self, "_" + str(step[0]).replace(" ", "_"))(part, x)
        return x

    def _plain(self, part, x):
        return F.relu(part(x))

    def _residual(self, part, x):
        return F.relu(x + part(x))

    def _in_place(self, part, x):
        out = part(x)
        out += x
        return F.relu(out, inplace=True)

    def _scaled(self, part, x):
        return x + F.dropout(part(x) * torch.full((WIDTH, 1, 1), 0.1), 0.1, self.training)

    def _subtracted(self, part, x):
        return x - part(x)

    def _learned_bias(self, part, x):
        return part(x) + part[0][0].weight.mean((1, 2, 3)).view(1, WIDTH, 1, 1)

    def _pooled(self, part, x):
        return F.max_pool2d(x, 3, 1, 1) + part(x)

    def _normed(self, part, x):
        return F.layer_norm(x, x.shape[1:]) + part(x)

    def _projection(self, part, x):
        return part[0](x) + part[1](x)

    def _gate(self, part, x):
        return x * torch.sigmoid(part(F.adaptive_avg_pool2d(x, 1)))

    def _dense(self, part, x):
        return part[1](torch.cat([x, part[0](x)], dim=1))

    def _parallel(self, part, x):
        return F.relu(part[0](x)) + F.relu(part[1](x))

    def _nested(self, part, x):
        return x + part[1](x + part[0](x))

    def _long_add(self, part, x):
        return x + part[1](part[0](x))

    def _long_cat(self, part, x):
        return part[2](torch.cat([x, part[1](part[0](x))], dim=1))

    def _u(self, part, x):
        inner = part[0](F.max_pool2d(x, 2))
        return part[2](torch.cat([part[1](inner), x], 1))


OWN = {
    "residual": [("identity", "add")],
    "in place": [("identity", "add")],
    "scaled": [("identity", "add")],
    "subtracted": [("identity", "add")],
    "pooled": [("resample", "add")],
    "normed": [("norm", "add")],
    "projection": [("projection", "add")],
    "gate": [("gate", "mul")],
    "dense": [("identity", "cat")],
    "parallel": [("parallel", "add")],
    "nested": [("identity", "add")] * 2,
    "long add": [("identity", "add")],
    "long cat": [("identity", "cat")],
    "u": [("identity", "cat")],
}


def planted(steps: list[Step]) -> list[tuple[str, str]]:
    """What was planted, in the order the merges run: those inside a long skip before its own."""
    found = []
    for name, *rest in steps:
        inner = rest[0] if rest and isinstance(rest[0], list) else []
        found += planted(inner) + OWN.get(name, [])
    return found


NAMES = [name for name in OWN if not name.startswith(("long", "u"))]
LEAVES = st.tuples(st.sampled_from(["plain", "learned bias", *NAMES]), st.integers(1, 3))
STEPS = st.recursive(
    st.lists(LEAVES, min_size=1, max_size=4),
    lambda inner: st.lists(
        st.one_of(LEAVES, st.tuples(st.sampled_from(["long add", "long cat", "u"]), inner)), min_size=1, max_size=4
    ),
    max_leaves=3,
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.booleans())
def test_found_skips_are_planted_skips(steps: list[Step], training: bool) -> None:
    graph = trace(Planted(steps).train(training), (2, WIDTH, 64, 64))
    assert graph.stopped is None
    assert not graph.failures
    assert [(skip.kind, skip.merge) for skip in find_skips(graph)] == planted(steps)


def test_each_step_alone() -> None:
    """So that every kind is tried, whatever the random draw."""
    for name in OWN:
        rest = [("plain", 1)] if name.startswith(("long", "u")) else 2
        graph = trace(Planted([("plain", 1), (name, rest), ("plain", 1)]), (2, WIDTH, 64, 64))
        assert [(skip.kind, skip.merge) for skip in find_skips(graph)] == OWN[name], name
