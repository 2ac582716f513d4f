"""Ablation: the plain twin's function, one skip alone, the way back, and what is refused."""

import copy

import pytest
import torch
from torch import nn

from skipstone import surgery
from skipstone.core.errors import SkipstoneError
from skipstone.skips import find_skips
from skipstone.surgery import SurgeryError


def assert_same_function(a, b, x):
    """Equal outputs and gradients for every parameter that both have a use for, float64, 1e-10."""
    ya, yb = a(x.clone()), b(x.clone())
    torch.testing.assert_close(ya, yb, rtol=0, atol=1e-10)
    weights = torch.linspace(-1, 1, ya.numel(), dtype=ya.dtype).view_as(ya)
    (ya * weights).sum().backward()
    (yb * weights).sum().backward()
    mine = dict(a.named_parameters())
    for name, parameter in b.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(mine[name].grad, parameter.grad, rtol=0, atol=1e-10)
            mine.pop(name)
    assert all(p.grad is None or not p.grad.any() for p in mine.values())


def adopt(twin, model):
    """The twin with the model's weights wherever it has a parameter of that name."""
    state = model.state_dict()
    twin.load_state_dict({name: state.get(name, own) for name, own in twin.state_dict().items()})
    return twin


@pytest.mark.parametrize("parameters", ["keep", "remove"])
def test_all_skips_taken_out_is_the_plain_twin(case, parameters):
    model, twin, x, number = case
    before = copy.deepcopy(model.state_dict())
    plan = surgery.plan_ablation(model, "all", x, parameters=parameters)
    assert len(plan.skips) == number
    plain = surgery.apply(model, plan.edits)
    assert not [skip for skip in find_skips(plain, x) if skip.is_block_skip]
    assert_same_function(plain, adopt(twin, plain), x)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_one_skip_taken_out_drops_exactly_that_one(case):
    model, _, x, number = case
    skips = [skip for skip in find_skips(model, x) if skip.is_block_skip]
    assert len(skips) == number
    for skip in skips:
        left = [s for s in find_skips(surgery.ablate(model, skip, x), x) if s.is_block_skip]
        assert len(left) == number - 1
        assert [(s.source, s.kind) for s in skips if s is not skip][: len(left)]


def test_zeroed_concatenations_keep_every_shape(nets):
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    model = nets.UNet().double()
    zeroed = surgery.ablate(model, "all", x, cat="zero")
    assert {k: v.shape for k, v in zeroed.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    torch.testing.assert_close(zeroed(x), surgery.ablate(model, "all", x)(x), rtol=0, atol=1e-10)


def test_revert_restores_exactly(case):
    model, _, x, _ = case
    for parameters, cat in (("keep", "zero"), ("remove", "drop")):
        plain = surgery.ablate(model, "all", x, parameters=parameters, cat=cat)
        back = surgery.revert(plain)
        assert [type(m) for m in back.modules()] == [type(m) for m in model.modules()]
        assert list(back.state_dict()) == list(model.state_dict())
        model.eval(), back.eval()
        assert torch.equal(back(x), model(x))
        with pytest.raises(SurgeryError, match="nothing to revert"):
            surgery.revert(back)
        model.train()


def test_removed_parameters_go_and_kept_ones_stay(nets):
    model = nets.Residual()
    kept = surgery.ablate(model, "all", (2, 3, 8, 8))
    assert list(kept.state_dict()) == list(model.state_dict())
    gone = surgery.ablate(model, "projection", (2, 3, 8, 8), parameters="remove")
    assert model.state_dict().keys() - gone.state_dict().keys() == {"layer.1.down.weight", "layer.1.down.bias"}


@pytest.mark.parametrize(
    ("which", "number"),
    [("all", 3), ("projection", 1), ("identity", 2), (0, 1), ([0, 2], 2), ("layer.*", 3), ("layer.[01]", 2),
     (["layer.0", "projection"], 2), (lambda skip: skip.span == 2, 3)],
)  # fmt: skip
def test_which(nets, which, number):
    plan = surgery.plan_ablation(nets.Residual(), which, (2, 3, 8, 8))
    assert len(plan.skips) == number
    assert f"{number} skip" in str(plan)


class InPlaceAfterwards(nn.Module):
    """The sum is overwritten; without the skip that would hit what sigmoid saved for its gradient."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return (torch.sigmoid(self.fc(x)) + x).mul_(2)


def test_a_sum_overwritten_later_keeps_memory_of_its_own():
    model, x = InPlaceAfterwards().double(), torch.randn(3, 4, dtype=torch.float64)
    plain = surgery.ablate(model, "all", x)
    plain(x).sum().backward()
    want = torch.autograd.grad((torch.sigmoid(model.fc(x)) * 2).sum(), model.fc.weight)[0]
    torch.testing.assert_close(plain.fc.weight.grad, want)


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        return self.b(torch.cat([self.a(x), x], 1))


@pytest.mark.parametrize(
    ("model", "which", "options", "text"),
    [
        (nn.Conv2d(4, 4, 1), "all", {}, "this network has no skip connection"),
        (Grouped(), "layer*", {}, r"no skip matches 'layer\*'; there are #0 forward"),
        (Grouped(), "all", {}, 'conv2d in b .* cannot be made narrower; use cat="zero"'),
        (Grouped(), "all", {"cat": "half"}, "cat is 'half'"),
        (Grouped(), "all", {"parameters": "drop"}, "parameters is 'drop'"),
        (Grouped(), "all", {"example": None}, "example input None is not understood"),
    ],
)
def test_refusals_change_nothing(model, which, options, text):
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(SkipstoneError, match=text):
        surgery.ablate(model, which, **{"example": (2, 4, 6, 6), "copy": False, **options})
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert "_skipstone_past" not in model.__dict__


def test_grouped_convolution_takes_zeros():
    model, x = Grouped(), torch.randn(2, 4, 6, 6)
    zeroed = surgery.ablate(model, "all", x, cat="zero")
    want = model.b(torch.cat([model.a(x), torch.zeros_like(x)], 1))
    torch.testing.assert_close(zeroed(x), want)


class JoinedThenAdded(nn.Module):
    """What was joined goes into a residual: of its sum the branch alone is left, which is as wide as before."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        joined = torch.cat([self.a(x), x], 1)
        return self.c(joined + self.b(joined))


def test_a_sum_without_its_joined_term_is_as_wide_as_before():
    model, x = JoinedThenAdded(), torch.randn(2, 4, 6, 6)
    plain = surgery.ablate(model, "all", x)
    assert (plain.b.in_channels, plain.c.in_channels) == (4, 8)
    want = model.c(nn.functional.conv2d(model.a(x), model.b.weight[:, :4], model.b.bias))
    torch.testing.assert_close(plain(x), want)
    with pytest.raises(SkipstoneError, match=r"add in forward .* reads the concatenation and cannot be made narrower"):
        surgery.ablate(model, lambda skip: skip.merge == "cat", x)


class GroupNormed(nn.Module):
    """The decoder of a diffusion U-Net: a concatenation, a group norm over it, a convolution."""

    def __init__(self, groups):
        super().__init__()
        self.a, self.norm, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(groups, 8), nn.Conv2d(8, 2, 1)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, x):
        return self.b(self.norm(torch.cat([self.a(x), x], 1)))


def test_a_group_norm_gives_up_whole_groups():
    model, x = GroupNormed(4), torch.randn(2, 4, 6, 6)
    plain = surgery.ablate(model, "all", x)
    assert (plain.norm.num_groups, plain.norm.num_channels, plain.b.in_channels) == (2, 4, 4)
    normed = nn.functional.group_norm(model.a(x), 2, model.norm.weight[:4], model.norm.bias[:4])
    torch.testing.assert_close(plain(x), nn.functional.conv2d(normed, model.b.weight[:, :4], model.b.bias))
    back = surgery.revert(plain)
    assert back.norm.num_groups == 4
    assert torch.equal(back(x), model(x))


def test_a_group_norm_over_both_operands_takes_zeros_alone():
    model, x = GroupNormed(1), torch.randn(2, 4, 6, 6)
    with pytest.raises(SkipstoneError, match=r'group_norm in norm .* cannot be made narrower; use cat="zero"'):
        surgery.ablate(model, "all", x)
    want = model.b(model.norm(torch.cat([model.a(x), torch.zeros_like(x)], 1)))
    torch.testing.assert_close(surgery.ablate(model, "all", x, cat="zero")(x), want)
