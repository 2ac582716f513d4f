"""Reference networks built from the blocks, made by name: `create("resnet20")`, `names()`, `costs("resnet20")`.

`tutorials` holds the small networks of five tutorials. Importing this package imports no torch; `create` and `costs`
do.
"""

from typing import TYPE_CHECKING

from skipstone.models import tutorials
from skipstone.models.families import Family
from skipstone.models.registry import create, families, family_of, names

if TYPE_CHECKING:
    from skipstone.models.counting import costs

__all__ = ["Family", "costs", "create", "families", "family_of", "names", "tutorials"]


def __getattr__(name: str) -> object:
    if name == "costs":
        from skipstone.models.counting import costs

        return costs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
