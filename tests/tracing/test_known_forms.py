"""A rule says of a result's form what torch says; where torch might refuse or answer otherwise, no rule speaks."""

import itertools

import pytest
import torch
from torch import nn

from skipstone.tracing import known_forms, trace
from skipstone.tracing.torch_internals import FakeTensor, fake_mode

ATEN = torch.ops.aten
NORM = ATEN.native_batch_norm.default


def vectors(width, dtype):
    return [torch.empty(width, dtype=dtype) for _ in range(2)]


def batch_norms():
    """Arguments: with and without weights and running statistics, in training and evaluation, of several ranks."""
    shapes = [(4, 3), (4, 3, 5), (2, 3, 4, 6), (2, 3, 2, 4, 5), (1, 3, 2, 1)]
    for shape, affine, running, training, dtype in itertools.product(
        shapes, (True, False), (True, False), (True, False), (torch.float32, torch.float64)
    ):
        if running or training:
            weights = vectors(3, dtype) if affine else [None, None]
            statistics = vectors(3, dtype) if running else [None, None]
            yield (torch.empty(shape, dtype=dtype), *weights, *statistics, training, 0.1, 1e-5)


def told(func, args):
    """What a mode without the cache gives, by a rule and by torch: (by the rule?, the form) each."""
    answers = []

    def answer(torchs, asked, types, given, kwargs):
        if asked is not func:
            return torchs(asked, types, given, kwargs)
        rule = known_forms.answer(lambda *_: None, asked, types, given, kwargs)
        own = torchs(asked, types, given, kwargs)
        answers.append((rule, own))
        return own

    with fake_mode(answer, cached=False) as fake:
        func(*(fake.from_tensor(arg) if isinstance(arg, torch.Tensor) else arg for arg in args))
    ((rule, own),) = answers
    return None if rule is None else forms(rule), forms(own)


def forms(result):
    tensors = result if isinstance(result, tuple) else (result,)
    assert all(type(tensor) is FakeTensor for tensor in tensors)
    return [(tuple(t.shape), t.stride(), t.dtype, t.device, t.requires_grad, t.storage_offset()) for t in tensors]


def test_a_batch_norm_has_the_form_that_torch_gives_it():
    count = 0
    for args in batch_norms():
        by_rule, by_torch = told(NORM, args)
        assert by_rule == by_torch, [arg.shape if isinstance(arg, torch.Tensor) else arg for arg in args]
        count += 1
    assert count == 60


@pytest.mark.parametrize("name", ["relu", "sigmoid", "silu"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4, 5)])
def test_so_has_an_activation(name, shape):
    by_rule, by_torch = told(getattr(ATEN, name).default, (torch.empty(shape),))
    assert by_rule == by_torch


IMAGE = torch.empty(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (NORM, (IMAGE.to(memory_format=torch.channels_last), None, None, None, None, True, 0.1, 1e-5)),
        (NORM, (IMAGE.half(), *vectors(3, torch.float32), None, None, True, 0.1, 1e-5)),
        (NORM, (IMAGE, *vectors(3, torch.float64), None, None, True, 0.1, 1e-5)),
        (NORM, (IMAGE, *vectors(1, torch.float32), None, None, True, 0.1, 1e-5)),
        (NORM, (torch.empty(0, 3, 4, 4), None, None, None, None, True, 0.1, 1e-5)),
        (ATEN.relu.default, (IMAGE.mT,)),
        (ATEN.sigmoid.default, (torch.zeros(3, dtype=torch.int64),)),
    ],
)
def test_of_other_tensors_torch_is_asked(func, args):
    by_rule, by_torch = told(func, args)
    assert by_rule is None
    assert by_torch


def test_a_wrong_rule_is_found(monkeypatch):
    plain = known_forms._RULES[NORM]
    swapped = {**known_forms._RULES, NORM: lambda *args: tuple(reversed(plain(*args)))}
    monkeypatch.setattr(known_forms, "_RULES", swapped)
    by_rule, by_torch = told(NORM, next(batch_norms()))
    assert by_rule != by_torch


def test_what_torch_refuses_is_told_in_its_words():
    graph = trace(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), (2, 3, 4, 4))
    (failed,) = [node for node in graph if node.failure]
    assert "running_mean should contain 3 elements not 4" in failed.failure.message
