"""What a forward makes of no data is computed; what depends on data is assumed, and the shapes are torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.checks import check
from skipstone.core.input_text import ExampleError
from skipstone.tracing import trace
from skipstone.tracing.values import LARGEST


class Net(nn.Module):
    def __init__(self, function, **tables: torch.Tensor) -> None:
        super().__init__()
        self.function, self.lin, self.plain = function, nn.Linear(4, 4), torch.tensor([0, 2])
        for name, table in tables.items():
            self.register_buffer(name, table)

    def forward(self, *args):
        return self.function(self, *args)


def over_all(m, x):
    y = m.lin(x)
    return y - y.mean(dim=torch.arange(1, x.dim()).tolist(), keepdim=True)


def triangle(m, x):
    return m.lin(x)[:, torch.ones(4, 4).triu().bool()]


def triangle_positions(m, x):
    return m.lin(x).reshape(2, 16)[:, torch.ones(4, 4).triu().reshape(-1).nonzero()[:, 0]]


def repeated(m, x):
    return m.lin(x) + torch.repeat_interleave(torch.arange(2), torch.tensor([1, 3]))[:, None]


def filled(m, x):
    mask = torch.zeros(4, 4, dtype=torch.bool)
    row = mask[1]
    row[2:] = True  # through a view
    return m.lin(x)[:, mask]


def branched(m, x):
    return m.lin(x) if torch.zeros(3).any() else m.lin(x)[:, :2]


# forward of a network, for x of (2, 4, 4); none assumes anything
COMPUTED = {
    "a list of axes": over_all,
    "a slice": lambda m, x: m.lin(x)[:, : torch.tensor([2, 3]).max().item()],
    "a mask": triangle,
    "positions of a mask": triangle_positions,
    "selected values": lambda m, x: m.lin(x).masked_select(torch.eye(4).bool().expand(2, 4, 4)),
    "repeats": repeated,
    "distinct values": lambda m, x: m.lin(x)[:, torch.tensor([1, 1, 2]).unique()],
    "numbers of a range": lambda m, x: m.lin(x)[:, : int(torch.linspace(0, 3, 4)[-1].item())],
    "shapes of an input": lambda m, x: m.lin(x)[:, torch.ones_like(x[0, 0]).cumsum(0) > 2],
    "a buffer": lambda m, x: m.lin(x)[:, m.keep],
    "a plain tensor": lambda m, x: m.lin(x)[:, : m.plain.sum()],
    "numpy": lambda m, x: m.lin(x)[:, : int((torch.arange(3).numpy() + 1).max())],
    "written through a view": filled,
    "a condition": branched,
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_constants_are_computed(name: str) -> None:
    net = Net(COMPUTED[name], keep=torch.tensor([True, False, True, True])).eval()
    x = torch.randn(2, 4, 4)
    graph = trace(net, x)
    assert graph.stopped is None
    assert not graph.failures
    assert graph.assumptions == ()
    assert graph[graph.outputs[0]].shape == tuple(net(x).shape)


def test_what_was_made_by_chance_or_of_an_input_is_not_computed() -> None:
    for function in (
        lambda m, x: m.lin(x)[:, torch.rand(4) > 2],
        lambda m, x: m.lin(x)[:, x[0, 0] > 1e9],
        lambda m, x: m.lin(x)[:, m.lin.bias > 1e9],
        lambda m, x: m.lin(x)[:, torch.zeros(4).copy_(x[0, 0]) > 1e9],
    ):
        graph = trace(Net(function), (2, 4, 4))
        assert [a.what for a in graph.assumptions] == ["took a data-dependent mask as all true"]
        assert graph[graph.outputs[0]].shape == (2, 4, 4)


def test_a_value_overwritten_with_data_is_forgotten() -> None:
    def forward(m, x):
        mask = torch.zeros(4)
        row = mask[1:]
        mask[0] = x[0, 0, 0]
        return m.lin(x)[:, 1:][:, row > 0]

    assert [a.what for a in trace(Net(forward), (2, 4, 4)).assumptions] == ["took a data-dependent mask as all true"]


def test_nothing_large_is_computed() -> None:
    length = LARGEST + 1
    graph = trace(Net(lambda m, x: m.lin(x)[:, : torch.zeros(length).sum().item() + 2]), (2, 4, 4))
    assert [a.what for a in graph.assumptions] == ["took a data-dependent number as 1"]


def test_the_models_own_tables_are_left_alone() -> None:
    net = Net(lambda m, x: m.lin(x) * m.seen.add_(1), seen=torch.zeros(1, dtype=torch.int64))
    trace(net, (2, 4, 4))
    assert net.seen.item() == 0


# index -> the shape for a mask that keeps everything, which is what is assumed
INDEXED = {
    "second axis": (lambda x, keep: x[:, keep], (2, 4, 5)),
    "last axis": (lambda x, keep: x[..., keep.new_ones(5) & keep[0]], (2, 4, 5)),
    "two axes": (lambda x, keep: x[:, keep[:, None].expand(4, 5)], (2, 20)),
    "with a slice and None": (lambda x, keep: x[:, keep, None, 1:3], (2, 4, 1, 2)),
    "a number": (lambda x, keep: x[:, keep.long().sum() - 1], (2, 5)),
    "up to a number": (lambda x, keep: x[:, : keep.long().sum()], (2, 1, 5)),
    "after a number": (lambda x, keep: x[0, keep], (4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", INDEXED)
def test_unknown_indices_give_torchs_own_shape(name: str) -> None:
    index, shape = INDEXED[name]
    graph = trace(Net(lambda m, x, y: index(F.relu(x), y > -1e9)), (torch.randn(2, 4, 5), torch.randn(4)))
    assert graph.stopped is None
    assert graph[graph.outputs[0]].shape == shape
    if name != "up to a number":  # taken as 1
        assert shape == tuple(index(torch.zeros(2, 4, 5), torch.ones(4) > 0).shape)


def test_an_assignment_through_an_unknown_mask_goes_on() -> None:
    def forward(m, x):
        y = m.lin(x).clone()
        y[x > 0] = x[x > 0]
        return y

    graph = trace(Net(forward), (2, 4, 4))
    assert graph.stopped is None
    assert graph[graph.outputs[0]].shape == (2, 4, 4)


def test_an_inverse_fourier_transform() -> None:
    def forward(m, x):
        window = torch.hann_window(64)
        return x + torch.istft(
            torch.stft(x, 64, 16, window=window, return_complex=True), 64, 16, window=window, length=256
        )

    report = check(Net(forward), (2, 256))
    assert report.partial is None
    assert report.findings == ()


def test_whole_numbers_stay_whole_in_numpy() -> None:
    def forward(m, x):
        top = m.lin(x).mean((0, 2)).topk(1)[1] + 1
        count = x.shape[1] // top.detach().numpy()
        return m.lin(x)[:, : count[0]]

    assert trace(Net(forward), (2, 4, 4)).stopped is None


@pytest.mark.parametrize("move", ["to", "half", "float"])
def test_a_module_that_is_moved_in_forward(move: str) -> None:
    def forward(m, x):
        m.lin.to(x.device) if move == "to" else getattr(m.lin, move)()
        return x + m.lin(x.to(m.lin.weight.dtype)).float()

    net = Net(forward)
    graph = trace(net, (2, 4, 4))
    assert graph.stopped is None
    assert net.lin.weight.dtype == torch.float32
    (layer,) = (node for node in graph if node.op == "linear")
    assert layer.spec.dtype == ("float16" if move == "half" else "float32")
    assert {p.name for p in graph.parameters if p.used} == {"lin.weight", "lin.bias"}


def test_a_packed_sequence_is_named_and_no_error() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.rnn = nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)

        def forward(self, x, lengths):
            x = x + self.stem(x)
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    report = check(Packed(), (torch.randn(2, 6, 4), torch.tensor([6, 4])))
    assert "a packed sequence (pack_padded_sequence) depends on data" in str(report.partial)
    assert report.findings == ()
    assert [skip.kind for skip in report.skips] == ["identity"]  # what was seen before it


def _jagged(x):
    return torch.nested.as_nested_tensor([x[0, :3], x[1]], layout=torch.jagged)


def _from_offsets(x):
    return torch.nested.nested_tensor_from_jagged(x.flatten(0, 1)[:8], torch.tensor([0, 3, 8]))


def _strided(x):
    return torch.nested.nested_tensor([x[0, :3].detach(), x[1].detach()], layout=torch.strided)


@pytest.mark.parametrize("make", [_jagged, _from_offsets, _strided])
def test_a_nested_tensor_is_named_and_no_error(make) -> None:
    def forward(m, x):
        x = x + m.lin(x)
        return m.lin(make(x)).to_padded_tensor(0.0)

    report = check(Net(forward), (2, 5, 4))
    assert "a nested tensor" in str(report.partial)
    assert report.findings == ()
    assert report.skips[0].kind == "identity"  # what was seen before it


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_a_nested_input_is_refused_in_one_line(layout) -> None:
    nested = torch.nested.nested_tensor([torch.ones(3, 4), torch.ones(5, 4)], layout=layout)
    with pytest.raises(ExampleError, match=r"an input is a nested tensor .*; give a padded one"):
        check(Net(lambda m, x: m.lin(x)), nested)


class Counting(nn.Module):
    """Reads the counter that it raised: the writes, done for nobody until then, are done."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        self.count.add_(2)
        return torch.cat([x] * int(self.count), 1)


def test_a_counter_that_is_read_has_counted():
    model = Counting()
    graph = trace(model, (2, 3))
    assert graph[graph.outputs[0]].shape == (2, 12)
    assert graph.assumptions == ()
    assert model.count == 1
