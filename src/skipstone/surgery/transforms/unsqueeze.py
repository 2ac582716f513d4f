"""New axes of size 1, in the order given."""

from functools import reduce

from torch import Tensor

from skipstone.surgery.transforms.meaning import Live, Meaning, Use, atom


def _live(use: Use) -> Live:
    return lambda x, like, holder: reduce(Tensor.unsqueeze, use.dims, x)


MEANING = Meaning(
    _live,
    lambda use, x, like: atom(x) + "".join(f".unsqueeze({dim})" for dim in use.dims),
    "give {operand} new axes of size 1 at {dims}: .unsqueeze(...)",
)
