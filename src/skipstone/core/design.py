"""What the catalogue knows of a published skip design, apart from the module that carries it out."""

from dataclasses import dataclass
from typing import Literal

from skipstone.core.skip import Merge, SkipKind


@dataclass(frozen=True, slots=True)
class DeclaredSkip:
    """A skip that the design's example holds, as `find_skips` must report it."""

    kind: SkipKind
    merge: Merge
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} {self.kind} {self.merge}"


@dataclass(frozen=True, slots=True)
class Design:
    """One published skip design.

    `slug` names the file, the page and the test; `paper` is the paper's title, `section` where in it the design stands
    (empty where that was not looked up) and `arxiv` its id without version. `shapes` says what the two branches must
    share and what happens where they don't. `fact` is the statement our test executes. `dims` are the numbers of
    spatial axes it works over. `skips` are the skips in its example.
    """

    slug: str
    title: str
    paper: str
    year: int
    authors: tuple[str, ...]
    arxiv: str
    section: str
    equation: str
    initialisation: str
    shapes: str
    fact: str
    release: Literal[1, 2] = 1
    dims: tuple[int, ...] = (1, 2, 3)
    skips: tuple[DeclaredSkip, ...] = (DeclaredSkip("identity", "add"),)

    @property
    def url(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}"
