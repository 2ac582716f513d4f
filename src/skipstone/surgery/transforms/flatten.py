"""All axes from 1 on into one."""

from skipstone.surgery.transforms.meaning import Meaning, atom

MEANING = Meaning(
    lambda use: lambda x, like, holder: x.flatten(1),
    lambda use, x, like: f"{atom(x)}.flatten(1)",
    "flatten {operand}: .flatten(1)",
)
