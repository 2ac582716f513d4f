"""Random networks with a planted fault: torch and the checker agree whether they run; the checker names the place."""

from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone.checks import check

WIDTHS = (4, 6, 8)
FAULTS = ("channels", "stride", "width", "cat-width")


class Residual(nn.Module):
    def __init__(self, width, out, stride, project):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, out, 3, stride, 1), nn.Conv2d(out, out, 3, padding=1)
        self.short = nn.Conv2d(width, out, 1, stride) if project else nn.Identity()

    def forward(self, x):
        return self.b(torch.relu(self.a(x))) + self.short(x)


class Concat(nn.Module):
    def __init__(self, width, growth, mixed):
        super().__init__()
        self.a, self.mix = nn.Conv2d(width, growth, 3, padding=1), nn.Conv2d(mixed, growth, 1)

    def forward(self, x):
        return self.mix(torch.cat([x, torch.relu(self.a(x))], 1))


@dataclass(frozen=True)
class Plan:
    """A network's blocks, and which fault is planted where: ("", -1) for none."""

    blocks: tuple[tuple[str, int], ...]  # kind, width out
    fault: str
    at: int


@st.composite
def plans(draw):
    blocks = tuple(
        draw(
            st.lists(
                st.tuples(st.sampled_from(["residual", "concat", "conv"]), st.sampled_from(WIDTHS)),
                min_size=1,
                max_size=5,
            )
        )
    )
    fault = draw(st.sampled_from(("", *FAULTS)))
    fitting = {"channels": "residual", "stride": "residual", "width": "conv", "cat-width": "concat"}
    places = [i for i, (kind, _) in enumerate(blocks) if kind == fitting.get(fault)]
    return Plan(blocks, fault if places else "", draw(st.sampled_from(places)) if places else -1)


def build(plan):
    """The network, and the path of the module where torch will raise (None: nowhere)."""
    width, modules, place = 3, [], None
    for i, (kind, out) in enumerate(plan.blocks):
        fault = plan.fault if i == plan.at else ""
        if kind == "residual":
            if fault == "channels":
                out, place = width + 1, str(i)
                modules.append(Residual(width, out, 1, project=False))
            elif fault == "stride":
                out, place = width, str(i)
                modules.append(Residual(width, out, 2, project=False))
            else:
                stride = 1 if out == width else 2
                modules.append(Residual(width, out, stride, project=out != width))
        elif kind == "concat":
            place = f"{i}.mix" if fault else place
            modules.append(Concat(width, out, width + out + (1 if fault else 0)))
        else:
            place = str(i) if fault else place
            modules.append(nn.Conv2d(width + (1 if fault else 0), out, 3, padding=1))
        width = out
    return nn.Sequential(*modules), place


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans(), st.sampled_from([16, 23]))
def test_the_planted_fault_is_found_at_its_place_and_nothing_else(plan, size):
    model, place = build(plan)
    errors = check(model, (2, 3, size, size), repairs=False, sizes=False).errors
    try:
        model(torch.randn(2, 3, size, size))
        ran = True
    except RuntimeError:
        ran = False
    assert ran == (place is None)
    assert [finding.module for finding in errors] == ([] if place is None else [place])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans())
def test_the_first_repair_makes_it_run(plan):
    model, place = build(plan)
    report = check(model, (2, 3, 16, 16))
    if place is None:
        return
    repair = report.errors[0].repairs[0]
    mended = repair.apply(model)
    mended(torch.randn(2, 3, 16, 16)).sum().backward()
    grown = sum(p.numel() for p in mended.parameters()) - sum(p.numel() for p in model.parameters())
    assert repair.cost.num_parameters == grown
