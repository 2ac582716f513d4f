"""The source of a module's forward: its syntax tree with the file's own line numbers, read once for each class."""

import ast
import inspect
import textwrap

from torch import nn

from skipstone.core.graph import Place

_READ: dict[tuple[type, str], ast.FunctionDef | None] = {}


def method(kind: type[nn.Module], name: str) -> ast.FunctionDef | None:
    """A method's syntax tree; None where it has no source or is torch's own."""
    if (kind, name) not in _READ:
        _READ[kind, name] = _method(kind, name)
    return _READ[kind, name]


def _method(kind: type[nn.Module], name: str) -> ast.FunctionDef | None:
    function = inspect.unwrap(getattr(kind, name, None) or kind)
    if not inspect.isfunction(function) or (function.__module__ or "").startswith("torch."):
        return None
    try:
        lines, first = inspect.getsourcelines(function)
        text = "".join(lines)
        indent = len(text) - len(text.lstrip())
        tree = ast.parse(textwrap.dedent(text))
    except (OSError, SyntaxError):
        return None
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef):
        return None
    for child in ast.walk(node):
        if isinstance(child, ast.expr | ast.stmt):
            child.lineno += first - 1
            child.end_lineno = (child.end_lineno or child.lineno) + first - 1
            child.col_offset += indent
            child.end_col_offset = (child.end_col_offset or 0) + indent
    return node


def place_of(kind: type[nn.Module], name: str, node: ast.expr | ast.stmt) -> Place:
    """Where a piece of a method is written."""
    function = inspect.unwrap(getattr(kind, name))
    code = function.__code__
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return Place(code.co_filename, node.lineno, end_line, node.col_offset, end_column, code.co_qualname)


def covers(outer: Place, inner: Place | None) -> bool:
    """Does the text of one place hold the text of another?"""
    if inner is None or inner.file != outer.file:
        return False
    starts = (outer.line, outer.column) <= (inner.line, inner.column)
    return starts and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
