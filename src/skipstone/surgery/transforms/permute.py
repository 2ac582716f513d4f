"""The axes in another order."""

from skipstone.surgery.transforms.meaning import Meaning, atom

MEANING = Meaning(
    lambda use: lambda x, like, holder: x.permute(use.dims),
    lambda use, x, like: f"{atom(x)}.permute{use.dims}",
    "bring the axes of {operand} into the order {dims}: .permute(...)",
)
