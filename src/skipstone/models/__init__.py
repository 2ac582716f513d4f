"""Reference networks built from the blocks, made by name: `create("resnet20")`, `names()`.

Importing this package imports no torch; `create` does.
"""

from skipstone.models.families import Family
from skipstone.models.registry import create, families, family_of, names

__all__ = ["Family", "create", "families", "family_of", "names"]
