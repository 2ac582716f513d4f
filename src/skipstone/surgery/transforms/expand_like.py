"""The operand repeated along its axes of size 1, up to the other one's size.

Operands of a concatenation keep their samples and channels; those of a sum take the whole shape.
"""

from skipstone.graphs.roles import JOINS
from skipstone.surgery.transforms.meaning import Live, Meaning, Use, atom


def _live(use: Use) -> Live:
    if use.op in JOINS:
        return lambda x, like, holder: x.expand(-1, -1, *like.shape[2:])
    return lambda x, like, holder: x.expand(like.shape)


def _source(use: Use, x: str, like: str) -> str:
    shape = f"-1, -1, *{like}.shape[2:]" if use.op in JOINS else f"{like}.shape"
    return f"{atom(x)}.expand({shape})"


MEANING = Meaning(_live, _source, "expand {operand} along its axes of size 1 to the size of {like}")
