"""A stem of fixed filters that whiten the patches of the training images."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.blocks.parts.layers import check_dims
from skipstone.core.errors import SkipstoneError

PATCH_IMAGES = 5000
"""Images whose patches are taken: of CIFAR's, 5 million patches, for a table of 27 x 27."""


class Whitening(nn.Module):
    """(N, C, H, W) -> (N, 9C, H, W): a 3x3 convolution whose fixed filters are the principal axes of 3x3 patches.

    Each filter is an eigenvector of the patches' second moments over the root of its eigenvalue, so that for images of
    mean 0 the channels are uncorrelated and of equal variance (Page 2019, "How to train your ResNet 8: bag of tricks").
    `fit` takes the axes from images; the trainer does so with the training images before the first step. Until then the
    filters are random. They are a buffer: saved with the network, and moved by no optimizer.
    """

    def __init__(self, in_channels: int, *, eps: float = 5e-4, dims: int = 2) -> None:
        super().__init__()
        if check_dims(dims) != 2:
            raise SkipstoneError(f"whitening is of images, which have 2 spatial axes, not {dims}")
        self.eps = eps
        filters = torch.empty(9 * in_channels, in_channels, 3, 3)
        self.weight: Tensor
        self.register_buffer("weight", nn.init.kaiming_normal_(filters, nonlinearity="linear"))

    @torch.no_grad()
    def fit(self, images_NCHW: Tensor) -> None:
        """Take the filters from images, float and normalised as the network will see them; `PATCH_IMAGES` are enough.

        The sums are made in float64, since the least of the eigenvalues are a thousandth of the greatest.
        """
        patch = 9 * images_NCHW.shape[1]
        total, count = torch.zeros(patch, patch, dtype=torch.float64), 0
        for part in torch.split(images_NCHW, 500):
            rows = F.unfold(part, 3).movedim(1, -1).reshape(-1, patch).double()
            total += rows.T @ rows
            count += len(rows)
        values, vectors = torch.linalg.eigh(total / count)
        filters = vectors.flip(1).T / (values.flip(0) + self.eps).sqrt()[:, None]
        self.weight.copy_(filters.view(self.weight.shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=1)

    def extra_repr(self) -> str:
        filters, channels, *_ = self.weight.shape
        return f"{channels}, {filters}, eps={self.eps}"
