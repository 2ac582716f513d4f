"""The operand in memory of its own."""

from skipstone.surgery.transforms.meaning import Meaning, atom

MEANING = Meaning(
    lambda use: lambda x, like, holder: x.clone(),
    lambda use, x, like: f"{atom(x)}.clone()",
    "clone {operand}: {operand}.clone()",
)
