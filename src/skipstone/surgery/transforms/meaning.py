"""What a transform of an operand means: on tensors, in source text and in words, held together."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from skipstone.core.edit import ModuleSpec, Transform

# The operand, the operand whose size it is to have (itself where there is none), and the module that holds the site.
Live = Callable[[Tensor, Tensor, nn.Module], Tensor]
# What a file calls: the texts of the operand and of the one whose size it is to have.
Source = Callable[["Use", str, str], str]


_ARGUMENTS = {"axes": None, "dims": (), "grid": ()}


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a transform: the operation whose operand it changes, its arguments, and for a module its name and how
    the source names its holder.
    """

    op: str
    axes: tuple[int, ...] | None = None
    dims: tuple[int, ...] = ()
    module: ModuleSpec | None = None
    name: str = ""
    holder: str = "self"
    grid: tuple[int, ...] = ()

    @classmethod
    def of(cls, transform: Transform, op: str, name: str = "", holder: str = "self") -> "Use":
        axes, dims, grid = (transform.arguments.get(key, default) for key, default in _ARGUMENTS.items())
        wanted = None if axes is None else _numbers(axes)
        return cls(op, wanted, _numbers(dims), transform.module, name, holder, _numbers(grid))

    @property
    def more(self) -> str:
        """The axes as a further argument in source text."""
        return "" if self.axes is None else f", {self.axes}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One transform. `helper` gives the function that its source text calls, where there is one.

    `words` tells what to do, with {operand}, {like}, {dims}, {name} and {module} to be filled in.
    """

    live: Callable[[Use], Live]
    source: Source
    words: str
    helper: Callable[[Use], Callable[..., Tensor] | None] = lambda use: None

    def told(self, use: Use, operand: str, like: str) -> str:
        return self.words.format(operand=operand, like=like, dims=use.dims, name=use.name, module=use.module)


def helper_lines(helper: Callable[..., Tensor]) -> list[str]:
    """A helper's text, as it is written into a file of the user's that knows `torch`."""
    return inspect.getsource(helper).rstrip().split("\n")


def atom(text: str) -> str:
    """An expression's text as something a method can be asked of: `x`, `f(x)`, `(a + f(x))`."""
    try:
        binds = isinstance(ast.parse(f"({text}.a)", mode="eval").body, ast.Attribute)
    except SyntaxError:
        binds = False
    return text if binds else f"({text})"


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)  # type: ignore[call-overload]
