"""What one addition of a stream and a branch does, forward and backward. Pure functions of the tensors that meet.

`stream` and `branch` have one shape, `total` is their sum in the dtype that the network gave it. All results are ()
float64 tensors; NaN where a number has no meaning (a branch that is zero has no direction).
"""

import torch
from torch import Tensor

from skipstone.flow.norms import values_of


def norm_ratio(branch: Tensor, stream: Tensor) -> Tensor:
    """‖branch‖ / ‖stream‖. At initialisation about 1/sqrt(l) for normalised branches at block l (De and Smith 2020,
    2002.10444, section 2), about 1 for unnormalised ones."""
    ratio: Tensor = _norm(branch) / _norm(stream)
    return ratio


def cosine(branch: Tensor, stream: Tensor) -> Tensor:
    """<branch, stream> / (‖branch‖ ‖stream‖): 0 where the branch adds something new, near -1 where it takes back."""
    a, b = _flat(branch), _flat(stream)
    return torch.dot(a, b) / (_norm(a) * _norm(b))


def variance_share(branch: Tensor, stream: Tensor) -> Tensor:
    """Var(branch) / (Var(branch) + Var(stream)), over all elements: 1/(l+1) at block l = 1, 2, ... of a network of
    normalised branches, 1/2 at every block without normalisation (De and Smith 2020, 2002.10444, section 2)."""
    a, b = (_flat(tensor).var(correction=0) for tensor in (branch, stream))
    return a / (a + b)


def dead_share(branch: Tensor, stream: Tensor, total: Tensor) -> Tensor:
    """The share of elements where the branch is not zero and adding it changes nothing: x + F == x in x's dtype.

    With round-to-nearest all of them wherever |F| <= 2**-p |x|: 2**-9 in bfloat16, 2**-12 in float16, 2**-25 in
    float32 (Goldberg 1991, section 1; p is one more than the stored bits).
    """
    return ((total == stream) & (branch != 0)).double().mean()


def zero_share(branch: Tensor) -> Tensor:
    """The share of elements where the branch is exactly zero."""
    return (branch == 0).double().mean()


def gradient_share(through_shortcut: Tensor, through_branch: Tensor) -> Tensor:
    """The shortcut's part of the gradient s + b at the skip's source: <s, s + b> / ‖s + b‖².

    The branch's part is <b, s + b> / ‖s + b‖², and both add up to 1; one exceeds 1 where they oppose each other. With
    an identity shortcut s is the gradient at the sum (He et al. 2016, 1603.05027, equation 5).
    """
    s, b = _flat(through_shortcut), _flat(through_branch)
    whole = s + b
    return torch.dot(s, whole) / torch.dot(whole, whole)


def _flat(tensor: Tensor) -> Tensor:
    return values_of(tensor).reshape(-1).double()


def _norm(tensor: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values_of(tensor), dtype=torch.float64)
    return norm
