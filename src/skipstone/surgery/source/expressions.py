"""A call site's text after the edits made there: `out += identity` -> `out = out + self.skipstone_shortcut(identity)`.

Whatever is not certain from the text raises `UncertainError`: the diff is then refused, never guessed.
"""

import ast
from collections.abc import Mapping, Sequence
from types import ModuleType

from skipstone.core.edit import DropOperand, MapOperand, OutOfPlace, SetArgument, TakeItem
from skipstone.graphs.roles import JOINS
from skipstone.surgery.live.handlers import SiteEdit, argument_names
from skipstone.surgery.source.file import Render, SourceFile
from skipstone.surgery.transforms import MEANINGS, Meaning, Use

_SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@"}
_ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.List, ast.Tuple)


class UncertainError(Exception):
    """The text does not show what the edit needs to know. Caught where the diff is made, which is then None."""


class SiteText:
    """One expression in a file and the edits made there."""

    def __init__(
        self,
        file: SourceFile,
        node: ast.AST,
        edits: Sequence[SiteEdit],
        names: Mapping[str, object],
        self_name: str | None,
    ) -> None:
        self.file, self.node, self.names, self.self_name = file, node, names, self_name
        self.op, self.count = edits[0].site.op, edits[0].site.operands
        self.maps = [edit for edit in edits if isinstance(edit, MapOperand)]
        self.sets = [edit for edit in edits if isinstance(edit, SetArgument)]
        self.drops = {edit.operand for edit in edits if isinstance(edit, DropOperand)}
        self.out_of_place = any(isinstance(edit, OutOfPlace) for edit in edits)
        self.takes = [edit.index for edit in edits if isinstance(edit, TakeItem)]
        self.helpers = [helper for edit in self.maps if (helper := _meaning(edit).helper(self._use(edit))) is not None]
        self.named: dict[
            int, tuple[str, int]
        ] = {}  # operands computed in the call: a name for each, who wants its size

    def note(self) -> None:
        """Note the new text in the file."""
        if isinstance(self.node, ast.BinOp) and (statement := self._idle(self.node)) is not None:
            self._remove(statement)
        elif isinstance(self.node, ast.BinOp):
            terms = [self.node.left, self.node.right]
            self.file.replace(self.node, lambda render: self._binary(render, terms, type(self.node.op)))  # type: ignore[attr-defined]
            self._check_two(terms)
        elif isinstance(self.node, ast.AugAssign):
            self._note_augmented(self.node)
        elif isinstance(self.node, ast.Call):
            self._note_call(self.node)
        else:
            raise UncertainError(f"a {type(self.node).__name__} is not edited in source")

    # ---- a + b, a += b

    def _idle(self, node: ast.BinOp) -> ast.stmt | None:
        """The statement `a = a + b` that would be left as `a = a`."""
        statement = self.file.parents[node]
        if (
            self.drops != {1}
            or self.maps
            or not isinstance(statement, ast.Assign)
            or not isinstance(node.left, ast.Name)
        ):
            return None
        same = [isinstance(target, ast.Name) and target.id == node.left.id for target in statement.targets]
        return statement if same == [True] else None

    def _check_two(self, terms: Sequence[ast.expr]) -> None:
        if self.sets or self.count != 2:
            raise UncertainError("which of the terms are tensors is not certain")
        for edit in self.maps:
            self._check_like(edit, terms)

    def _binary(self, render: Render, terms: Sequence[ast.expr], operator: type[ast.operator]) -> str:
        left, right = (self._operand(render, terms, number) for number in (0, 1))
        if self.drops == {1}:
            return left
        if self.drops == {0}:
            return f"-{right}" if operator is ast.Sub else right
        return f"{left} {_SYMBOLS[operator]} {right}"

    def _note_augmented(self, node: ast.AugAssign) -> None:
        terms = [node.target, node.value]
        self._check_two(terms)
        if type(node.op) not in _SYMBOLS or not isinstance(node.target, ast.Name | ast.Attribute):
            raise UncertainError("the target of the assignment has effects of its own")
        if self.drops == {1}:
            self._remove(node)
            return
        target_changed = any(edit.operand == 0 for edit in self.maps)

        def new(render: Render) -> str:
            if self.out_of_place or target_changed or self.drops:
                return f"{render(node.target)} = {self._binary(render, terms, type(node.op))}"
            return f"{render(node.target)} {_SYMBOLS[type(node.op)]}= {self._operand(render, terms, 1, bare=True)}"

        self.file.replace(node, new)

    def _remove(self, statement: ast.stmt) -> None:
        """Take a statement out with its lines, or put `pass` where it was alone in its block."""
        parent = self.file.parents[statement]
        blocks = [value for _, value in ast.iter_fields(parent) if isinstance(value, list) and statement in value]
        start, end = self.file.line_span(statement)
        own_lines = self.file.text[start : self.file.span(statement)[0]].strip() == ""
        rest = self.file.text[self.file.span(statement)[1] : end].strip()
        if len(blocks[0]) == 1 or not own_lines or (rest and not rest.startswith("#")):
            self.file.replace(statement, lambda render: "pass")
        else:
            self.file.replace_span((start, end), lambda render: "")

    # ---- calls

    def _note_call(self, node: ast.Call) -> None:
        method = self._is_method(node)
        operands = self._call_operands(node, method)
        for edit in self.maps:
            if edit.operand >= len(operands):
                raise UncertainError("operands beyond those written out")
            self._check_like(edit, operands)
        if self.drops and self.op not in JOINS:
            self._note_dropped_term(node, operands, method)
            return
        if self.drops:
            self._note_shorter_list(node, operands)
        else:
            for number in {edit.operand for edit in self.maps} | self.named.keys():
                self._note_operand(operands, number)
        for setting in self.sets:
            self._note_argument(node, setting.name, setting.value, method)
        if self.out_of_place:
            self._note_plain(node, method)
        for index in self.takes:
            self.file.replace(node, lambda render, index=index: f"{render(node)}[{index}]")  # type: ignore[misc]

    def _is_method(self, node: ast.Call) -> bool:
        """Is the call a tensor's method (`x.add_(y)`), rather than a function of a module (`torch.cat(...)`)?"""
        root: ast.AST = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(node.func, ast.Name):
            return False
        if isinstance(root, ast.Name) and isinstance(self.names.get(root.id), ModuleType):
            return False
        return isinstance(node.func, ast.Attribute)

    def _call_operands(self, node: ast.Call, method: bool) -> list[ast.expr]:
        """The expressions of the call's tensors in order, where every one is written out."""
        if self.op in JOINS:
            listed = node.args[0] if node.args else None
            shown = isinstance(listed, ast.List | ast.Tuple) and not any(
                isinstance(e, ast.Starred) for e in listed.elts
            )
            if shown and len(listed.elts) == self.count:  # type: ignore[union-attr]
                return list(listed.elts)  # type: ignore[union-attr]
            raise UncertainError("the tensors are not written out in the call")
        found: list[ast.expr] = [node.func.value] if method and isinstance(node.func, ast.Attribute) else []
        found += [argument for argument in node.args if not isinstance(argument, ast.Constant)]
        if any(isinstance(argument, ast.Starred) for argument in found):
            raise UncertainError("the arguments are not written out in the call")
        needed = max([edit.operand for edit in self.maps] + list(self.drops), default=-1) + 1
        if len(found) != self.count and needed > 1:
            raise UncertainError("which of the arguments are tensors is not certain")
        return found

    def _note_dropped_term(self, node: ast.Call, operands: Sequence[ast.expr], method: bool) -> None:
        if self.op not in ("add", "mul") or len(operands) != 2 or node.keywords:
            raise UncertainError("what is left of the operation is not certain")
        kept = 1 - next(iter(self.drops))
        statement = self.file.parents[node]
        if isinstance(statement, ast.Expr):
            if kept == 0:
                self._remove(statement)
                return
            raise UncertainError("the statement's result is not kept")
        self.file.replace(node, lambda render: self._operand(render, operands, kept))

    def _note_shorter_list(self, node: ast.Call, operands: Sequence[ast.expr]) -> None:
        listed = node.args[0]
        kept = [number for number in range(len(operands)) if number not in self.drops]
        if not kept:
            raise UncertainError("nothing would be left")
        opening, closing = ("[", "]") if isinstance(listed, ast.List) else ("(", ",)" if len(kept) == 1 else ")")

        def new(render: Render) -> str:
            return opening + ", ".join(self._operand(render, operands, k, bare=True) for k in kept) + closing

        self.file.replace(listed, new)

    def _note_operand(self, operands: Sequence[ast.expr], number: int) -> None:
        self.file.replace(operands[number], lambda render: self._operand(render, operands, number, bare=True))

    def _note_argument(self, node: ast.Call, name: str, value: object, method: bool) -> None:
        names = argument_names(self.op)
        position = names.index(name) - int(method) if name in names else -1
        set_keyword(self.file, node, name, value, position)

    def _note_plain(self, node: ast.Call, method: bool) -> None:
        function = node.func
        for keyword in node.keywords:
            if keyword.arg == "inplace":
                self.file.replace(keyword.value, lambda render: "False")
                return
        called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if not called.endswith("_") or not isinstance(function, ast.Attribute):
            raise UncertainError("how the call works in place is not certain")
        end = self.file.span(function)[1]
        self.file.replace_span((end - len(called), end), lambda render: called[:-1])
        statement = self.file.parents[node]
        if isinstance(statement, ast.Expr):
            changed = function.value if method else node.args[0]
            if not isinstance(changed, ast.Name | ast.Attribute):
                raise UncertainError("what is changed in place has no name")
            begin = self.file.span(statement)[0]
            self.file.replace_span((begin, begin), lambda render: f"{ast.unparse(changed)} = ")

    # ---- operands

    def _check_like(self, edit: MapOperand, operands: Sequence[ast.expr]) -> None:
        like = edit.transform.like
        if like is not None and any(other.operand == like for other in self.maps):
            raise UncertainError("the operand whose size is wanted changes too")
        if like is not None and not _is_simple(operands[like]):
            if like > edit.operand + 1 or like in self.named:
                raise UncertainError("the operand whose size is wanted is computed further on in the call")
            self.named[like] = (self._fresh_name(), edit.operand)
        if edit.transform.kind == "module" and self.self_name is None:
            raise UncertainError("the function does not know its module")

    def _operand(self, render: Render, operands: Sequence[ast.expr], number: int, *, bare: bool = False) -> str:
        node = operands[number]
        text = render(node)
        if number in self.named:
            name, user = self.named[number]
            text = name if user < number else f"({name} := {text})"
        elif not bare and not isinstance(node, _ATOMS):
            text = f"({text})"
        for edit in self.maps:
            if edit.operand == number:
                text = self._mapped(edit, text, render, operands)
        return text

    def _like(self, render: Render, operands: Sequence[ast.expr], edit: MapOperand) -> str:
        """The operand whose size is wanted; one that is computed in the call is given a name where it is computed."""
        like = edit.transform.like
        assert like is not None
        if like not in self.named:
            return render(operands[like])
        name = self.named[like][0]
        return name if like < edit.operand else f"({name} := {self.file.inner(operands[like])})"

    def _fresh_name(self) -> str:
        function = self.file.definition_of(self.node)
        taken = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} if function is not None else set()
        taken |= self.names.keys() | {name for name, _ in self.named.values()}
        return next(name for name in ("other", *(f"other_{k}" for k in range(2, 99))) if name not in taken)

    def _mapped(self, edit: MapOperand, text: str, render: Render, operands: Sequence[ast.expr]) -> str:
        like = self._like(render, operands, edit) if edit.transform.like is not None else ""
        return _meaning(edit).source(self._use(edit), text, like)

    def _use(self, edit: MapOperand) -> Use:
        return Use.of(edit.transform, self.op, edit.name, self.self_name or "")


def _meaning(edit: MapOperand) -> Meaning:
    return MEANINGS[edit.transform.kind]


def _is_simple(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def set_keyword(file: SourceFile, node: ast.Call, name: str, value: object, position: int) -> None:
    """Give a call one argument: changed where it stands, by keyword or at `position`, else added at the end."""
    other = {"dim": "axis", "axis": "dim"}.get(name)
    for keyword in node.keywords:
        if keyword.arg is None:
            raise UncertainError("the arguments are not written out in the call")
        if keyword.arg in (name, other):
            file.replace(keyword.value, lambda render: literal(value))
            return
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        raise UncertainError("the arguments are not written out in the call")
    if 0 <= position < len(node.args):
        file.replace(node.args[position], lambda render: literal(value))
        return
    _append(file, node, f"{name}={literal(value)}")


def _append(file: SourceFile, node: ast.Call, text: str) -> None:
    """Another argument before the closing parenthesis, after a trailing comma or with one of its own."""
    last = max((file.span(part)[1] for part in (*node.args, *node.keywords)), default=None)
    end = file.span(node)[1]
    if last is None:
        file.replace_span((end - 1, end - 1), lambda render: text)
        return
    between = file.text[last : end - 1]
    if "#" in between or ")" in between:
        raise UncertainError("a comment or a parenthesis stands where the argument would go")
    lead = " " if "," in between else ", "
    offset = last + between.index(",") + 1 if "," in between else last
    file.replace_span((offset, offset), lambda render: lead + text + ("," if "," in between else ""))


def literal(value: object) -> str:
    """A plain value as source text."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list) and all(isinstance(item, bool | int | float | str) for item in value):
        return repr(value)
    raise UncertainError(f"{value!r} is no plain value")
