"""The planner: every plan is exact, the sheet's costs come out, nothing is guessed from a ratio."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipstone.shapes.arithmetic import FloorMap, SizeError, conv_size
from skipstone.shapes.reconcile import PREFERENCE, Plan, Step, Window, named, reconcile


def by_name(plans: tuple[Plan, ...]) -> dict[str, Plan]:
    return {plan.name: plan for plan in plans}


def test_equal_shapes_need_nothing() -> None:
    (plan,) = reconcile((8, 5, 5), (8, 5, 5))
    assert plan.name == "identity"
    assert plan.steps == ()
    assert plan.cost.num_parameters == plan.cost.activation_bytes == 0


# The reference sheet's table for 16x16x16 -> 64x4x4: parameters and multiply-adds.
@pytest.mark.parametrize(
    ("name", "num_parameters", "macs"),
    [
        ("max_pool_projection", 1024, 16384),
        ("avg_pool_projection", 1024, 16384),
        ("projection", 1024, 16384),
        ("option_a", 0, 0),
        ("avg_pool_zero_channels", 0, 0),
        ("unshuffle_avg_pool", 0, 0),
    ],
)
def test_costs_of_the_tutorial_s_reconciliation(name: str, num_parameters: int, macs: int) -> None:
    cost = by_name(reconcile((16, 16, 16), (64, 4, 4)))[name].cost
    assert (cost.num_parameters, cost.macs) == (num_parameters, macs)


def test_strides_are_solved_for_and_not_guessed_from_a_ratio() -> None:
    """34 -> 10: 34 // 10 = 3 gives 12, and no 1x1 gives 10; a kernel of 5 with stride 3 does."""
    plans = by_name(reconcile((3, 34, 34), (8, 10, 10)))
    assert conv_size(34, 1, 3) == 12
    assert "projection" not in plans
    assert "option_a" not in plans
    assert plans["strided_conv"].steps[0].windows[0] == Window(5, 3, 0)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=0, max_size=3),
)
def test_every_plan_gives_exactly_the_target(channels: int, wanted: int, axes: list[tuple[int, int]]) -> None:
    source = (channels, *(size for size, _ in axes))
    target = (wanted, *(size for _, size in axes))
    plans = reconcile(source, target)
    assert plans, (source, target)
    for plan in plans:
        assert (plan.source, plan.target) == (source, target)
        assert plan.name in PREFERENCE
        assert not plan.steps or plan.steps[-1].target == target
    assert len({plan.steps for plan in plans}) == len(plans)


def test_other_ranks_have_no_plan() -> None:
    assert reconcile((8, 4), (8, 4, 4)) == ()


def test_option_a_is_not_offered_where_channels_shrink() -> None:
    names = by_name(reconcile((8, 8, 8), (4, 4, 4)))
    assert not any("option_a" in name or "zero_channels" in name for name in names)
    assert "projection" in names


def test_following_the_branch_beats_fitting_one_size() -> None:
    """Both round-ups of 8 give 4; a branch that rounds up is followed by the pooling that rounds up."""
    up, down = FloorMap.conv(3, 2, 1), FloorMap.conv(2, 2)
    for follow, ceil_mode in ((up, True), (down, False)):
        plans = by_name(reconcile((8, 8, 8), (8, 4, 4), (follow, follow)))
        assert plans["avg_pool"].every_size
        assert plans["avg_pool"].steps[0].windows[0].ceil_mode is ceil_mode
        assert plans["projection"].every_size is (follow == up or plans["projection"].steps[0].windows[0].kernel > 1)
    assert not by_name(reconcile((8, 8, 8), (8, 4, 4)))["avg_pool"].every_size


def test_plans_that_follow_the_branch_stand_first_and_do_at_every_size() -> None:
    branch = FloorMap.conv(3, 2, 1).then(FloorMap.conv(3, 2, 1))
    plans = reconcile((4, 30), (8, branch(30)), (branch,))
    marks = [plan.every_size for plan in plans]
    assert marks == sorted(marks, reverse=True)
    assert marks[0]
    assert not marks[-1]
    first = plans[0].steps[0].windows[0]
    for size in range(1, 100):
        assert FloorMap.conv(first.kernel, first.stride, first.padding)(size) == branch(size)


def test_a_lost_border_position_is_cropped_before_it_is_smoothed() -> None:
    assert reconcile((4, 8, 8), (4, 7, 7))[0].name == "crop"
    assert reconcile((4, 15), (4, 16))[0].name == "pad"
    assert reconcile((4, 8, 8), (4, 4, 4))[0].name == "avg_pool"


def test_linear_features() -> None:
    plans = by_name(reconcile((64,), (128,)))
    assert set(plans) == {"projection", "zero_channels", "zero_channels_both"}
    assert plans["projection"].cost.macs == 64 * 128


def test_a_plan_whose_steps_do_not_give_the_target_cannot_be_made() -> None:
    with pytest.raises(SizeError, match=r"subsample gives \(4, 4\) where \(4, 5\) is wanted"):
        Step("subsample", (4, 8), (4, 5), (Window(stride=2),))
    good = Step("subsample", (4, 8), (4, 4), (Window(stride=2),))
    with pytest.raises(SizeError, match=r"plan projection gives \(4, 4\) where \(8, 4\) is wanted"):
        Plan("projection", (4, 8), (8, 4), (good,))
    with pytest.raises(SizeError, match=r"subsample takes \(4, 8\) but is given \(4, 9\)"):
        Plan("subsample", (4, 9), (4, 4), (good,))


def test_a_plan_may_be_named_by_its_design() -> None:
    plans = reconcile((4, 9, 9), (8, 5, 5))
    assert named(plans, "resnet_a").name == "option_a"
    assert named(plans, "resnet_b").name == "projection"
    assert named(plans, "resnet_d").name == "avg_pool_projection"
    assert named(plans, "pyramidnet").name == "avg_pool_zero_channels"
    assert named(reconcile((4, 5), (4, 5)), "identity").design == ""


def test_an_unknown_plan_names_those_there_are() -> None:
    with pytest.raises(SizeError, match=r"no plan 'option_a' fits these shapes; possible: projection"):
        named(reconcile((8,), (4,)), "option_a")


@pytest.mark.parametrize("shape", [(), (0, 3), (1, 2, 3, 4, 5)])
def test_bad_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(SizeError, match="must be"):
        reconcile(shape, (1, 2))


def test_every_one_axis_resampling_has_a_plan() -> None:
    for size, wanted in product(range(1, 33), repeat=2):
        assert reconcile((2, size), (2, wanted)), (size, wanted)


def test_cropping_follows_a_branch_that_always_loses_the_same() -> None:
    plan = named(reconcile((4, 8), (4, 6), (FloorMap.conv(3),)), "crop")
    assert plan.every_size
    assert not named(reconcile((4, 8), (4, 6), (FloorMap.conv(1, 2, 2),)), "crop").every_size
