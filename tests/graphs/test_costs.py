"""Multiply-adds of each kind of operation against torch's own counter, activation bytes by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skipstone.graphs.costs import cost, uncounted
from skipstone.tracing import trace


class Call(nn.Module):
    """Whatever a function makes of its inputs."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


OPERATIONS = {
    "convolution": (nn.Conv2d(6, 8, 3, stride=2, padding=1), [(2, 6, 9, 7)]),
    "grouped and dilated": (nn.Conv2d(6, 9, 3, groups=3, dilation=2), [(1, 6, 9, 7)]),
    "one axis": (nn.Conv1d(4, 5, 5), [(2, 4, 11)]),
    "three axes": (nn.Conv3d(2, 3, 2), [(1, 2, 4, 5, 6)]),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1), [(2, 6, 5, 7)]),
    "transposed in groups": (nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2), [(2, 6, 5, 7)]),
    "linear": (nn.Linear(7, 5), [(2, 3, 7)]),
    "matmul": (Call(lambda a, b: a @ b), [(2, 3, 4), (4, 5)]),
    "bmm": (Call(torch.bmm), [(2, 3, 4), (2, 4, 5)]),
    "addmm": (Call(torch.addmm), [(3, 5), (3, 4), (4, 5)]),
    "baddbmm": (Call(torch.baddbmm), [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    "einsum": (Call(lambda a, b: torch.einsum("bij,kj->bik", a, b)), [(2, 3, 4), (5, 4)]),
    "nothing to multiply": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), [(2, 3, 8, 8)]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_multiply_adds_are_half_of_torchs_flops(operation: str):
    module, shapes = OPERATIONS[operation]
    with FlopCounterMode(display=False) as counter:
        module(*(torch.randn(shape) for shape in shapes))
    graph = trace(module, tuple(shapes))
    assert cost(graph).macs == counter.get_total_flops() // 2
    assert uncounted(graph) == ()


def test_attention_is_two_products():
    """QKᵀ and its product with V; torch's counter leaves the fused form out on a CPU."""
    shapes = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 6)
    graph = trace(Call(nn.functional.scaled_dot_product_attention), shapes)
    assert cost(graph).macs == 2 * 3 * 5 * 7 * (8 + 6)


def test_what_cannot_be_counted_is_told():
    graph = trace(nn.LSTM(4, 5), (3, 2, 4))
    assert [node.op for node in uncounted(graph)][:1] == ["lstm"]
    three = Call(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c))
    assert uncounted(trace(three, ((2, 3), (3, 4), (4, 5)))) != ()


def test_memory_counts_where_it_is_written_to():
    class Written(nn.Module):
        def forward(self, x):
            spare = torch.empty_strided((9,), (1,))
            assert spare.shape
            return torch.empty_like(x).copy_(x) + 1

    assert cost(trace(Written(), (2, 3))).activation_bytes == 4 * (6 + 6)


def test_activation_bytes_leave_out_views_and_in_place_results():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 25, 7))
    assert cost(trace(network, (2, 3, 5, 5))).activation_bytes == 4 * (2 * 4 * 25 + 2 * 7)


def test_shared_and_unused_parameters_count_once_each():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Linear(4, 4)
            self.unused = nn.Linear(4, 2)

        def forward(self, x):
            return self.used(self.used(x))

    result = cost(trace(Tied(), (1, 4)))
    assert result.num_parameters == 20 + 10
    assert result.macs == 2 * 16
