"""The finished network: its parameters do what they say, and it learns."""

import pytest
import torch

from skipstone.models import create
from skipstone.models.options import OptionError
from skipstone.models.tutorials import FinishedCNN, ResidualBlock


def test_stages_blocks_and_dropout_are_parameters():
    network = FinishedCNN(num_classes=7, widths=(8, 16), blocks_per_stage=3, dropout=0.5)
    assert sum(isinstance(m, ResidualBlock) for m in network.modules()) == network.num_skips == 6
    assert sum(isinstance(m, torch.nn.MaxPool2d) for m in network.modules()) == 1
    assert network.dropout.p == 0.5
    assert network(torch.zeros(2, 3, 33, 32)).shape == (2, 7)


def test_is_in_the_registry_and_takes_digits():
    assert create("tutorial_cnn", in_channels=1)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_fits_a_batch():
    torch.manual_seed(0)
    network = FinishedCNN(in_channels=1, widths=(8, 16), blocks_per_stage=1, dropout=0.0)
    x, y = torch.randn(20, 1, 8, 8), torch.arange(20) % 10
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    assert (network(x).argmax(1) == y).float().mean() == 1.0


@pytest.mark.slow
def test_learns_digits_at_the_usual_rate():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
    y = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = FinishedCNN(in_channels=1, blocks_per_stage=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for step in range(40):
        batch = torch.randint(1347, (128,))
        optimizer.param_groups[0]["lr"] = 0.1 * min((step + 1) / 8, (40 - step) / 32)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
        optimizer.step()
    network.eval()
    assert (network(x[1347:]).argmax(1) == y[1347:]).float().mean() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths=()"),
        ({"widths": (8, 0)}, "widths=0: must be an integer of at least 1"),
        ({"dropout": 1.5}, "dropout=1.5: must be a number p"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str):
    with pytest.raises(OptionError) as error:
        FinishedCNN(**options)
    assert message in str(error.value)
