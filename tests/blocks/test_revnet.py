"""RevNet: the inverse, the gradients, and memory that does not grow with depth."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from skipstone.blocks.revnet import Reversible, ReversibleSequence, reversible_block


def tanh_block(features: int) -> Reversible:
    return Reversible(*(nn.Sequential(nn.Linear(features, features), nn.Tanh()) for _ in range(2)))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-2)])
def test_fifty_blocks_are_inverted(dtype: torch.dtype, bound: float) -> None:
    torch.manual_seed(0)
    sequence = ReversibleSequence([tanh_block(16) for _ in range(50)]).to(dtype)
    x = torch.randn(4, 32, dtype=dtype)
    error = (sequence.inverse(sequence(x)) - x).abs().max().item()
    assert error < bound
    assert (sequence(x) - x).abs().max() > 1


def gradients(sequence: ReversibleSequence, x: Tensor, seed: int = 3) -> tuple[Tensor, list[Tensor | None]]:
    x = x.clone().requires_grad_()
    torch.manual_seed(seed)
    y = sequence(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    assert x.grad is not None
    return y.detach(), [x.grad, *(p.grad for p in sequence.parameters())]


def twins(sequence: ReversibleSequence) -> tuple[ReversibleSequence, ReversibleSequence]:
    stored = copy.deepcopy(sequence)
    stored.free_activations = False
    return sequence, stored


def same(sequence: ReversibleSequence, x: Tensor, atol: float = 1e-10) -> None:
    freed, stored = twins(sequence)
    y, found = gradients(freed, x)
    y_stored, wanted = gradients(stored, x)
    assert torch.equal(y, y_stored)
    for one, two in zip(found, wanted, strict=True):
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            torch.testing.assert_close(one, two, rtol=1e-8, atol=atol)
    for one, two in zip(freed.buffers(), stored.buffers(), strict=True):
        assert torch.equal(one, two)  # batch statistics moved once, not twice


def convolutions(num: int, channels: int = 8) -> ReversibleSequence:
    torch.manual_seed(0)
    return ReversibleSequence([reversible_block(channels) for _ in range(num)]).double()


IMAGES = torch.randn(3, 8, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_those_of_stored_activations(training: bool) -> None:
    same(convolutions(6).train(training), IMAGES)


def test_dropout_masks_are_the_same_again_and_the_generator_goes_on_as_if_nothing_was() -> None:
    torch.manual_seed(0)
    blocks = [
        Reversible(*(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.5)) for _ in range(2))) for _ in range(5)
    ]
    sequence = ReversibleSequence(blocks).double()
    x = torch.randn(4, 16, dtype=torch.float64)
    same(sequence, x)
    after = []
    for model in twins(sequence):
        gradients(model, x)
        after.append(torch.rand(3))
    assert torch.equal(*after)


def test_frozen_and_shared_weights() -> None:
    torch.manual_seed(0)
    block = tanh_block(4)
    sequence = ReversibleSequence([block, tanh_block(4), block]).double()
    for parameter in sequence.blocks[1].parameters():
        parameter.requires_grad_(False)
    same(sequence, torch.randn(3, 8, dtype=torch.float64))


def test_an_input_without_gradient_still_trains_the_weights() -> None:
    sequence = convolutions(2)
    sequence(IMAGES).sum().backward()
    assert all(p.grad is not None for p in sequence.parameters())


def test_autocast_is_entered_again_in_the_backward_pass() -> None:
    torch.manual_seed(0)
    freed, stored = twins(ReversibleSequence([tanh_block(8) for _ in range(2)]))
    found = []
    for model in (freed, stored):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = model(torch.ones(2, 16))
        y.float().sum().backward()
        found.append([p.grad for p in model.parameters()])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=0.05, atol=0.05)


def saved_bytes(num: int, free: bool) -> int:
    """Bytes that autograd keeps between the forward and the backward pass, apart from parameters."""
    sequence = convolutions(num)
    sequence.free_activations = free
    weights = {p.data_ptr() for p in sequence.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = sequence(IMAGES.clone().requires_grad_())
    total = sum(kept.values())
    y.sum().backward()
    return total


def test_memory_does_not_grow_with_depth() -> None:
    assert saved_bytes(2, free=True) == saved_bytes(16, free=True) == IMAGES.nbytes
    assert saved_bytes(16, free=False) > 6 * saved_bytes(2, free=False)


def most_alive(num: int, free: bool) -> int:
    """The most convolution outputs alive at a time in a forward and a backward pass."""
    sequence = convolutions(num)
    sequence.free_activations = free
    made: list[StorageWeakRef] = []
    most = 0

    def watch(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal most
        made.append(StorageWeakRef(output.untyped_storage()))
        most = max(most, sum(not ref.expired() for ref in made))

    for module in sequence.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(watch)
    sequence(IMAGES.clone().requires_grad_()).sum().backward()
    assert len(made) == 4 * num * (2 if free else 1)
    return most


def test_the_backward_pass_too_holds_one_block_at_a_time() -> None:
    assert most_alive(12, free=True) == most_alive(3, free=True) <= 4
    assert most_alive(12, free=False) >= 24


def test_gradients_of_gradients_are_refused_and_not_wrong() -> None:
    sequence = convolutions(1)
    x = IMAGES.clone().requires_grad_()
    (grad,) = torch.autograd.grad(sequence(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
