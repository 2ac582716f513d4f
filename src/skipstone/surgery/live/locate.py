"""From a place in the source to the function object that runs it, and how a module reaches that function.

A site may stand in a method of the module (or of a base class), in a nested function or lambda there, behind
decorators, or in a plain function that a method calls. `locate` finds a method and the steps from it to the function.
"""

import ast
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Literal

from torch import nn

from skipstone.core.graph import Place
from skipstone.tracing.torch_files import FOLDER

_DEPTH = 4  # steps from a method to the function that holds the site
Handler = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Step:
    """How one function refers to the next: through a closure cell, or through a (dotted) global name."""

    through: Literal["cell", "global"]
    name: str


Route = tuple[tuple[Step, FunctionType], ...]  # from one function to another: each step and where it leads


@dataclass(frozen=True, slots=True)
class Location:
    """`owner.__dict__[method]` reaches the function with the site by `steps`; `functions` are those on the way."""

    owner: type
    method: str
    steps: tuple[Step, ...]
    functions: tuple[FunctionType, ...]

    @property
    def function(self) -> FunctionType:
        return self.functions[-1]


def locate(cls: type[nn.Module], place: Place) -> Location | None:
    """Where a module of class `cls` runs the source at `place`; None where it is not to be found."""
    return next(iter(locations(cls, place)), None)


def locations(cls: type[nn.Module], place: Place) -> tuple[Location, ...]:
    """Every way in which a module of class `cls` is seen to run the source at `place`.

    Several names may stand for one method, and several methods may call one function: which of them runs is not known.
    """
    return _locations(cls, place)  # type: ignore[arg-type]  # classes are hashable whatever their instances are


@lru_cache(maxsize=4096)
def _locations(cls: type[nn.Module], place: Place) -> tuple[Location, ...]:
    methods = [
        (owner, name, function)
        for owner in cls.__mro__
        if owner not in (nn.Module, object)
        for name, attribute in vars(owner).items()
        # What a constructor defines does not run there: the instance holds it.
        if name not in ("__init__", "__new__", "__setstate__")
        for function in _functions_of(attribute)
    ]
    found = [Location(o, name, (), (function,)) for o, name, function in methods if holds(function.__code__, place)]
    if not found:
        found = [
            Location(owner, name, tuple(s for s, _ in way), (function, *(f for _, f in way)))
            for owner, name, function in methods
            if (way := route(function, place))
        ]
    return tuple(found)


def _functions_of(attribute: object) -> Iterator[FunctionType]:
    if isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    elif isinstance(attribute, property):
        attribute = attribute.fget
    if isinstance(attribute, FunctionType):
        yield attribute


def route(function: FunctionType, place: Place) -> Route | None:
    """The steps from a function to the one with the site: none where it is that one itself, None without a way."""
    return () if holds(function.__code__, place) else _search(function, place, set(), _DEPTH)


def _search(function: FunctionType, place: Place, seen: set[int], depth: int) -> Route | None:
    if depth == 0 or id(function) in seen:
        return None
    seen.add(id(function))
    following = list(_neighbours(function))
    for step, other in following:
        if holds(other.__code__, place):
            return ((step, other),)
    for step, other in following:
        rest = _search(other, place, seen, depth - 1)
        if rest is not None:
            return ((step, other), *rest)
    return None


def _neighbours(function: FunctionType) -> Iterator[tuple[Step, FunctionType]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # a cell that has not been filled yet
            continue
        if isinstance(value, FunctionType):
            yield Step("cell", name), value
    if function.__code__.co_filename.startswith(FOLDER):
        return  # torch wraps functions of the user's (`no_grad`, `compile`) and calls none by name
    names = {name for code in codes(function.__code__) for name in code.co_names}
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType):
            yield Step("global", name), value
        elif isinstance(value, ModuleType):
            for attribute in names:
                member = vars(value).get(attribute)
                if isinstance(member, FunctionType):
                    yield Step("global", f"{name}.{attribute}"), member


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all those nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def holds(code: CodeType, place: Place) -> bool:
    """Is there an instruction at exactly this place, in the code or one nested in it?"""
    if code.co_filename != place.file:
        return False
    wanted = (place.line, place.end_line, place.column, place.end_column)
    return any(
        inner.co_qualname == place.function and wanted in _positions(inner, inner.co_linetable) for inner in codes(code)
    )


@cache
def _positions(code: CodeType, table: bytes) -> frozenset[tuple[int, int, int, int]]:
    found = set()
    for line, end_line, column, end_column in code.co_positions():
        if line is not None:
            found.add((line, end_line or line, column or 0, end_column or 0))
    return frozenset(found)


def source_lines(file: str) -> tuple[str, ...]:
    """The lines of a source file as Python knows them; none where there is no source."""
    linecache.checkcache(file)
    return tuple(linecache.getlines(file))


def parse(file: str) -> ast.Module | None:
    """The syntax tree of a file; None where there is no source to read."""
    return _parse(source_lines(file), file)


@cache
def _parse(lines: tuple[str, ...], file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(lines), file) if lines else None
    except SyntaxError:
        return None


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def definition(tree: ast.AST, code: CodeType) -> Definition | None:
    """The definition a code object was compiled from, by its name and first line (the first decorator's, if any)."""
    found = _definitions(tree).get((code.co_name, code.co_firstlineno), ())
    return found[0] if len(found) == 1 else None


@cache
def _definitions(tree: ast.AST) -> dict[tuple[str, int], list[Definition]]:
    found: dict[tuple[str, int], list[Definition]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.setdefault((node.name, first), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
    return found


def spot(node: ast.AST) -> tuple[int, int, int, int]:
    """Line, end line, column, end column of a node, with columns counted as `Place` counts them (UTF-8 bytes)."""
    return (
        getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0,
        getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0) or 0,
    )  # fmt: skip


def spot_of(place: Place) -> tuple[int, int, int, int]:
    return place.line, place.end_line, place.column, place.end_column
