"""Recording leaves the model, its data, its hooks, the random states and torch's own settings as they were."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from skipstone.tracing import trace


class Stateful(nn.Module):
    """Writes to everything a forward can write to, and draws from every random source."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.register_buffer("average", torch.zeros(4))
        self.calls, self.seen, self.plain = 0, [], torch.ones(4)
        self.drop = nn.Dropout(0.5)
        self.features: dict[str, torch.Tensor] = {}
        self.norm.register_forward_hook(lambda module, args, output: self.features.update(norm=output))
        kept = self.outputs = {}
        self.conv.register_forward_hook(lambda module, args, output: kept.setdefault("conv", output))

    def forward(self, x):
        self.calls += 1
        self.last = self.norm(self.conv(x))
        self.seen.append(self.last)
        self.average.mul_(0.9).add_(self.last.mean((0, 2, 3)))
        self.plain += 1
        noise = torch.rand(self.last.shape) * random.random() * float(np.random.rand())
        return self.drop(self.last) + noise


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_nothing_of_the_model_changes(training: bool) -> None:
    model = Stateful().train(training)
    model.norm.eval()
    for parameter in model.conv.parameters():
        parameter.requires_grad_(False)
    before = copy.deepcopy(model)
    attributes = {path: set(vars(module)) for path, module in model.named_modules()}
    tensors = {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    versions = {name: tensor._version for name, tensor in model.state_dict(keep_vars=True).items()}

    graph = trace(model, (2, 3, 8, 8))

    assert graph.stopped is None
    assert {path: set(vars(module)) for path, module in model.named_modules()} == attributes
    assert {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()} == tensors
    assert {name: tensor._version for name, tensor in model.state_dict(keep_vars=True).items()} == versions
    for name, tensor in before.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert torch.equal(model.plain, before.plain)
    assert (model.calls, model.seen, model.features, model.outputs) == (0, [], {}, {})
    for module, twin in zip(model.modules(), before.modules(), strict=True):
        assert module.training == twin.training
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            assert list(getattr(module, hooks)) == list(getattr(twin, hooks))
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]
    assert all(p.grad is None for p in model.parameters())


def test_random_states_stay() -> None:
    model = Stateful()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    trace(model.train(), (2, 3, 8, 8))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_a_generator_of_the_model_stays() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(1)

        def forward(self, x):
            return x + torch.rand(x.shape, generator=self.generator)

    model = Noisy()
    state = model.generator.get_state()
    trace(model, (2, 3))
    assert torch.equal(model.generator.get_state(), state)


@pytest.mark.parametrize("stops", [False, True])
def test_torch_is_left_as_it_was(stops: bool) -> None:
    class Model(nn.Module):
        def forward(self, x):
            if stops:
                raise KeyError("no")
            return x

    apply = torch.autograd.Function.__dict__["apply"]
    torch.backends.mha.set_fastpath_enabled(True)
    trace(Model(), (2, 3))
    assert torch.autograd.Function.__dict__["apply"] is apply
    assert "apply" not in torch.utils.checkpoint.CheckpointFunction.__dict__
    assert torch.backends.mha.get_fastpath_enabled()
    assert not torch.overrides._get_current_function_mode_stack()
    assert type(torch.zeros(1)) is torch.Tensor


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_followed_whatever_the_surroundings(context) -> None:
    with context():
        graph = trace(nn.Linear(3, 3), (2, 3))
    assert all(parameter.reached for parameter in graph.parameters)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_shape_takes_the_precision_of_the_model(dtype: torch.dtype) -> None:
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).to(dtype), (2, 3, 8, 8))
    assert not graph.failures
    assert graph[graph.outputs[0]].spec.dtype == str(dtype).removeprefix("torch.")


def test_a_tensor_keeps_its_own_precision() -> None:
    graph = trace(nn.Conv2d(3, 3, 1).half(), torch.zeros(2, 3, 4, 4))
    assert [node.op for node in graph.failures] == ["conv2d"]


def test_models_without_memory() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(1 << 20, 1 << 20), nn.ReLU())
    assert not trace(model, (2, 1 << 20)).failures
