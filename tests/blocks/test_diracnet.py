"""DiracNet: the fold, and the identity inside the weight."""

import pytest
import torch

from skipstone.blocks.diracnet import Dirac
from skipstone.blocks.parts.residual import BranchError


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_fold_is_equal(dims: int, bias: bool, dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(0)
    layer = Dirac(4, bias=bias, dims=dims).to(dtype)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 4, *[6] * dims, dtype=dtype)
    torch.testing.assert_close(layer.fold()(x), layer(x), rtol=0, atol=atol)


def test_a_fold_of_the_raw_weight_would_not_be() -> None:
    layer = Dirac(4)
    plain = layer.fold()
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
    x = torch.randn(2, 4, 6, 6)
    assert not torch.allclose(plain(x), layer(x), atol=1e-3)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_at_b_zero_the_layer_is_the_identity(kernel: int) -> None:
    layer = Dirac(4, kernel)
    torch.nn.init.zeros_(layer.b)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(layer(x), x)


def test_every_filter_has_norm_one_before_b() -> None:
    layer = Dirac(4).double()
    unit = (layer.effective_weight() - layer.delta) / 0.1
    torch.testing.assert_close(unit.flatten(1).norm(dim=1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-6)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(BranchError, match="needs an odd kernel, which has a middle; not 4"):
        Dirac(4, 4)
