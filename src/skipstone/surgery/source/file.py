"""One source file under edit: parts of its text replaced, everything else kept to the letter."""

import ast
from collections.abc import Callable
from pathlib import Path

from skipstone.core.sources import SourceChange, decode, encode, read_source
from skipstone.surgery.live.locate import Definition

Render = Callable[[ast.AST], str]  # the text of a node, with the edits inside it made
NewText = Callable[[Render], str]


class SourceFile:
    """A file as read from disk, its syntax tree, and the edits to make in it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.raw = read_source(self.path)
        self.text, self.encoding = decode(self.raw)
        self.lines = self.text.split("\n")
        self.tree = ast.parse(self.text, path)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._edits: dict[tuple[int, int], NewText] = {}
        self.written: set[str] = set()  # names of what was added to the file

    @property
    def newline(self) -> str:
        return "\r\n" if self.lines and self.lines[0].endswith("\r") else "\n"

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Offsets of a node's text in characters."""
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _offset(self, line: int, column: int) -> int:
        text = self.lines[line - 1]
        return self._starts[line - 1] + len(text.encode()[:column].decode())

    def line_span(self, node: ast.AST) -> tuple[int, int]:
        """Offsets of the whole lines a statement stands on, its line end included."""
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        return self._starts[first - 1], min(self._starts[last], len(self.text))

    def replace(self, node: ast.AST, new: NewText) -> None:
        self.replace_span(self.span(node), new)

    def replace_span(self, span: tuple[int, int], new: NewText) -> None:
        """Note an edit; a second one of the same text acts upon the first one's result."""
        first = self._edits.get(span)
        if first is None:
            self._edits[span] = new
            return
        before = first

        def both(render: Render) -> str:
            return new(lambda node: before(render) if self.span(node) == span else render(node))

        self._edits[span] = both

    def insert_after(self, statement: ast.stmt, lines: list[str]) -> None:
        """Whole lines after a statement, indented as it is."""
        offset, indent = self.line_span(statement)[1], self.indent(statement)
        body = "".join(f"{indent}{line}".rstrip() + self.newline for line in lines)
        lead = self.newline if offset == len(self.text) and not self.text.endswith("\n") else ""
        before = self._edits.get((offset, offset))
        self._edits[(offset, offset)] = lambda render: (before(render) if before else "") + lead + body

    def indent(self, statement: ast.stmt) -> str:
        line = self.lines[statement.lineno - 1]
        return line[: len(line) - len(line.lstrip())]

    def render(self, node: ast.AST) -> str:
        """A node's text with the edits made."""
        return self._made(self.span(node)) if self.span(node) in self._edits else self.inner(node)

    def inner(self, node: ast.AST) -> str:
        """A node's text with the edits inside it, its own left out."""
        start, end = self.span(node)
        return self._between(
            start, end, lambda s: start <= s[0] and s[1] <= end and s != (start, end) and _within(s, start, end)
        )

    def edited(self) -> str:
        """The whole new text."""
        return self._between(0, len(self.text), lambda s: True)

    def _made(self, span: tuple[int, int]) -> str:
        def text(node: ast.AST) -> str:
            return self.inner(node) if self.span(node) == span else self.render(node)

        return self._edits[span](text)

    def _between(self, start: int, end: int, chosen: Callable[[tuple[int, int]], bool]) -> str:
        inside = [span for span in self._edits if chosen(span)]
        outer = [
            s for s in inside if not any(o != s and o[0] <= s[0] and s[1] <= o[1] and _within(s, *o) for o in inside)
        ]
        parts, position = [], start
        for span in sorted(outer):
            parts += [self.text[position : span[0]], self._made(span)]
            position = span[1]
        return "".join([*parts, self.text[position:end]])

    def statement_of(self, node: ast.AST) -> ast.stmt:
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def definition_of(self, node: ast.AST) -> Definition | None:
        """The innermost function around a node."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                return node
        return None

    def change(self) -> SourceChange:
        """The file's bytes as read and with the edits made."""
        return SourceChange(self.path, self.raw, encode(self.path, self.edited(), self.encoding))


def _within(span: tuple[int, int], start: int, end: int) -> bool:
    """An insertion at the edge of a text is beside it, not within it."""
    return span[0] != span[1] or start < span[0] < end
