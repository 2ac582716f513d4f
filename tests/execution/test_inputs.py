"""Inputs that a network can be run with, made from shapes and from what the record shows."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.execution.inputs import InputsError, real_inputs
from skipstone.tracing import parse_example, trace


class Function(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def made(model, example, **how):
    parsed = parse_example(example)
    return real_inputs(parsed, trace(model, parsed), model, seed=0, **how)


def ids(*shape, dtype=torch.int64):
    return torch.empty(shape, dtype=dtype, device="meta")


def test_a_shape_gets_normal_numbers_of_the_models_precision():
    (x,), _ = made(nn.Linear(4, 4).double(), (512, 4))
    assert x.dtype == torch.float64
    assert abs(float(x.mean())) < 0.1
    assert float(x.std()) == pytest.approx(1, abs=0.1)


def test_the_same_seed_draws_the_same_and_another_another():
    model, example = nn.Linear(4, 4), parse_example((3, 4))
    graph = trace(model, example)
    first, again, other = (real_inputs(example, graph, model, seed=s)[0][0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_given_values_are_taken_as_a_copy():
    x = torch.arange(8.0).view(2, 4)
    (made_x,), _ = made(nn.Linear(4, 4), x)
    assert torch.equal(made_x, x)
    assert made_x.data_ptr() != x.data_ptr()
    (other,), _ = made(nn.Linear(4, 4), x, given=False)
    assert not torch.equal(other, x)


@pytest.mark.parametrize(
    ("function", "modules", "limit"),
    [
        (lambda m, i: m.table(i.unsqueeze(1)), {"table": nn.Embedding(7, 4)}, 7),
        (lambda m, i: torch.ones(5, 3)[i.flatten()], {}, 5),
        (lambda m, i: torch.ones(4, 6)[:, i.flatten()], {}, 6),
        (lambda m, i: torch.ones(9).index_select(0, i.flatten()), {}, 9),
        (lambda m, i: F.one_hot(i, 3), {}, 3),
        (lambda m, i: i.float() / 255, {}, 10),
    ],
)
def test_whole_numbers_stay_within_what_they_index(function, modules, limit):
    model = Function(function, **modules)
    (i,), _ = made(model, (ids(50, 20),))
    assert i.min() >= 0
    assert int(i.max()) == limit - 1
    model(i)


def test_an_image_of_bytes_takes_all_values():
    (x,), _ = made(Function(lambda m, x: x.float() / 255), (ids(50, 50, dtype=torch.uint8),))
    assert int(x.max()) == 255


def test_numbers_that_index_a_table_though_given_as_floats():
    model = Function(lambda m, t: m.table(t.long()), table=nn.Embedding(6, 4))
    (t,), _ = made(model, (200,))
    assert (t == t.floor()).all()
    model(t)


def test_a_mask_whose_meaning_is_not_known_is_told():
    model = Function(lambda m, x, mask: x.masked_fill(mask, 0.0))
    with pytest.raises(InputsError, match=r"the bool input \(2, 4\) takes is not known; give a tensor"):
        made(model, ((2, 4), ids(2, 4, dtype=torch.bool)))


def test_inputs_by_name_in_nests():
    model = Function(lambda m, maps, scale: maps["a"] + maps["b"] * scale)
    _, kwargs = made(model, {"maps": {"a": (2, 3), "b": (2, 3)}, "scale": 2.0})
    assert kwargs["scale"] == 2.0
    model(**kwargs)
