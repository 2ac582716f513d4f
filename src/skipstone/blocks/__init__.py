"""The catalogue: one published skip design a file, each with its `DESIGN` record, its module and a small `example`.

    blocks.names()            the slugs
    blocks.get("rezero")      the design's record
    blocks.module("rezero")   its Python module: ReZero, DESIGN, example
    blocks.page("rezero")     its page, as docs/designs/rezero.md

The parts that designs share (`Residual`, branches, the planner's steps) are re-exported here.
"""

from skipstone.blocks.catalogue import CATALOGUE, get, module, names, page
from skipstone.blocks.parts.residual import Residual, basic_branch, bottleneck_branch
from skipstone.blocks.parts.resnet import PlainBlock, basic_block, bottleneck_block, projection, shortcut
from skipstone.blocks.parts.steps import build, code, option_a, shortcut_between

__all__ = [
    "CATALOGUE", "PlainBlock", "Residual", "basic_block", "basic_branch", "bottleneck_block", "bottleneck_branch",
    "build", "code", "get", "module", "names", "option_a", "page", "projection", "shortcut", "shortcut_between",
]  # fmt: skip
