"""A stem of fixed filters that whiten the patches of the training images."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.blocks.parts.layers import check_dims
from skipstone.core.errors import SkipstoneError

PATCH_IMAGES = 5000
"""Images whose patches are taken: of CIFAR's, 5 million patches, for a table of 27 x 27."""


class Whitening(nn.Module):
    """(N, C, H, W) -> (N, k²C, H, W): a convolution whose fixed filters are the principal axes of patches of k x k.

    Each filter is an eigenvector of the patches' second moments over the root of its eigenvalue, so that for images of
    mean 0 the channels are uncorrelated and of equal variance (Page 2019, "How to train your ResNet 8: bag of tricks").
    `fit` takes the axes from images; the trainer does so with the training images before the first step. Until then the
    filters are random. They are a buffer: saved with the network, and moved by no optimizer. Of an even `kernel` the
    maps are one smaller. With `signed` each filter's negative follows all of them, (N, 2k²C, H, W): a ReLU behind it
    then loses nothing (Jordan 2024, 2404.00498, with patches of 2 x 2).
    """

    def __init__(
        self, in_channels: int, *, kernel: int = 3, signed: bool = False, eps: float = 5e-4, dims: int = 2
    ) -> None:
        super().__init__()
        if check_dims(dims) != 2:
            raise SkipstoneError(f"whitening is of images, which have 2 spatial axes, not {dims}")
        self.eps, self.signed = eps, signed
        filters = torch.empty((1 + signed) * kernel**2 * in_channels, in_channels, kernel, kernel)
        self.weight: Tensor
        self.register_buffer("weight", nn.init.kaiming_normal_(filters, nonlinearity="linear"))

    @torch.no_grad()
    def fit(self, images_NCHW: Tensor) -> None:
        """Take the filters from images, float and normalised as the network will see them; `PATCH_IMAGES` are enough.

        The sums are made in float64, since the least of the eigenvalues are a thousandth of the greatest.
        """
        kernel = self.weight.shape[-1]
        patch = kernel**2 * images_NCHW.shape[1]
        total, count = torch.zeros(patch, patch, dtype=torch.float64), 0
        for part in torch.split(images_NCHW, 500):
            rows = F.unfold(part, kernel).movedim(1, -1).reshape(-1, patch).double()
            total += rows.T @ rows
            count += len(rows)
        values, vectors = torch.linalg.eigh(total / count)
        filters = vectors.flip(1).T / (values.flip(0) + self.eps).sqrt()[:, None]
        filters = torch.cat([filters, -filters]) if self.signed else filters
        self.weight.copy_(filters.view(self.weight.shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=(self.weight.shape[-1] - 1) // 2)

    def extra_repr(self) -> str:
        filters, channels, kernel, _ = self.weight.shape
        return f"{channels}, {filters}, kernel={kernel}, signed={self.signed}, eps={self.eps}"
