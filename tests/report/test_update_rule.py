import numpy as np

from skipstone.report.update_rule import largest_movable, steps


def test_the_bound_of_the_tutorials_step_from_both_sides():
    bound = largest_movable(1e-19)
    assert bound == 2.0**-39
    below, above = (float(np.nextafter(np.float32(bound), np.float32(to))) for to in (0, 1))
    assert [step.moved for step in steps((below, above))] == [True, False]


def test_weights_of_everyday_size_stay():
    assert [step.weight for step in steps() if step.moved] == [float(np.float32(1.8e-12)), float(np.float32(1e-12))]
    assert steps((0.05,))[0].after == float(np.float32(0.05))


def test_random_weights_agree_with_the_bound():
    rng = np.random.default_rng(0)
    for update, slack in ((1e-19, 1.0), (3e-12, 1.0), (2.0**-40, 2.0)):
        bound = largest_movable(update)
        weights = bound * 2.0 ** rng.uniform(-3, 3, 200)
        for step in steps(tuple(weights), gradient=update, rate=1.0):
            if step.weight < bound:
                assert step.moved
            elif step.weight > bound * slack:
                assert not step.moved
