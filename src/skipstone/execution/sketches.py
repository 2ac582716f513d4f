"""What a tensor holds, small enough to keep and compare: sums along each axis."""

import torch

Sketch = tuple[torch.Tensor, ...]
_CLOSE = 1e-5


def sketch(tensor: torch.Tensor) -> Sketch:
    """For each axis, what lies at each position along it: the sum of the values and of their squares.

    (A, B) -> ((2, A), (2, B)); a number -> ((2, 1),).
    """
    values = tensor.detach()
    values = torch.view_as_real(values) if values.is_complex() else values
    values = values.to("cpu", torch.float64).nan_to_num(0.0, 0.0, 0.0)
    values = values.reshape(1) if values.dim() == 0 else values
    both = torch.stack([values, values.square()])
    return tuple(
        both.sum([a + 1 for a in range(values.dim()) if a != axis]) if values.dim() > 1 else both
        for axis in range(values.dim())
    )


def alike(a: Sketch, b: Sketch) -> bool:
    """Do two results hold the same values, as far as their sketches tell?"""
    return len(a) == len(b) and all(
        one.shape == two.shape and torch.allclose(one, two, rtol=_CLOSE, atol=1e-9)
        for one, two in zip(a, b, strict=True)
    )


def keeps_apart(a: Sketch, b: Sketch, samples: int) -> bool:
    """Is there an axis along which the first sample's part is the same in both, whatever became of the other samples?

    Samples may follow one another in blocks (batch first, or folded with what follows) or in turns (folded last). Where
    the data decide on the shape, as in `y[y > 0]`, nothing tells that they do not.
    """
    if [one.shape for one in a] != [two.shape for two in b]:
        return True
    for one, two in zip(a, b, strict=True):
        size = one.shape[-1]
        if size % samples:
            continue
        for part in (slice(0, size // samples), slice(0, None, samples)):
            if _close(one[:, part], two[:, part]):
                return True
    return False


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=_CLOSE, atol=1e-9)
