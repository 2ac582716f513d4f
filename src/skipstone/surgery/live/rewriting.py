"""A function compiled anew with the expressions at given places replaced by calls of handlers.

    out += identity      ->   out = H(self, runs, None, "iadd", out, identity)
    torch.cat([a, b], 1) ->   H(self, runs, torch, "cat", [a, b], 1)

Positions stay those of the original source, so that tracebacks and recorded places still point there.
"""

import ast
import copy
from collections.abc import Mapping
from functools import partial
from types import CellType, CodeType, FunctionType

from skipstone.core.graph import Place
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.locate import Definition, Handler, codes, definition, parse, spot, spot_of

HANDLERS, RUNS, SELF = "__skipstone_handlers__", "__skipstone_runs__", "__skipstone_self__"
_PyCF_MASK = 0x1FF0000  # the compiler's `from __future__` flags
_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.MatMult: "matmul", ast.Pow: "pow",
    ast.Mod: "mod", ast.FloorDiv: "floordiv", ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor",
}  # fmt: skip
_UNARY = {ast.USub: "neg", ast.Invert: "invert", ast.UAdd: "pos"}


def rewritten(
    function: FunctionType,
    handlers: Mapping[Place, Handler],
    *,
    replaced: Mapping[str, FunctionType] | None = None,
    bind: bool = False,
    holder: object = None,
    local_runs: bool = False,
) -> FunctionType:
    """`function` with the expression at each place handed to its handler.

    `replaced` maps global (dotted) names to functions to be called in their stead, each of which takes the module as
    an extra first argument; `bind` gives this function such an argument itself. A function that one module alone holds
    knows it as its `holder` instead, and so do those in `replaced`. With `local_runs` the runs of a place
    are counted from 0 in each call of this function, else through the module's own counter.

    Raises:
        SurgeryError: the source is missing, or is not the one the function was compiled from.
    """
    code = function.__code__
    tree = parse(code.co_filename)
    if tree is None:
        raise SurgeryError(f"there is no source for {code.co_qualname} ({code.co_filename})")
    found = definition(tree, code)
    if found is None:
        raise SurgeryError(f"{code.co_qualname} is not at {code.co_filename}:{code.co_firstlineno} any more")
    fresh = _Factory(function, found, tree)
    _check_same(fresh.compile(copy.deepcopy(found), ()), code, found)
    editor = _Editor(handlers, replaced or {}, fresh.self_name(found, bind or holder is not None), local_runs, code)
    edited = editor.visit(copy.deepcopy(found))
    if missing := [place for place in handlers if place not in editor.done]:
        raise SurgeryError(f"no expression that could be edited ends and begins at {missing[0]}, {missing[0].function}")
    if bind:
        edited.args.posonlyargs.insert(0, ast.arg(SELF))
    if local_runs and isinstance(edited, ast.FunctionDef | ast.AsyncFunctionDef):
        edited.body.insert(0, ast.Assign([ast.Name(RUNS, ast.Store())], ast.Dict([], [])))
    table = {
        "handlers": tuple(handlers.values()),
        "functions": dict(replaced or {}),
        "bind": partial if holder is None else _as_it_is,
        "slice": slice,
    }
    extra = {HANDLERS: table} if holder is None else {HANDLERS: table, SELF: holder}
    return fresh.function(fresh.compile(edited, tuple(extra)), extra)


def _as_it_is(function: object, module: object) -> object:
    return function


def with_cell(function: FunctionType, name: str, value: object) -> FunctionType:
    """The same function with one closure variable replaced."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(CellType(value) if free == name else cell for free, cell in cells)
    return _dressed(FunctionType(function.__code__, function.__globals__, function.__name__, None, closure), function)


def _dressed(new: FunctionType, old: FunctionType) -> FunctionType:
    new.__defaults__, new.__kwdefaults__, new.__doc__ = old.__defaults__, old.__kwdefaults__, old.__doc__
    new.__qualname__, new.__module__, new.__annotations__ = old.__qualname__, old.__module__, old.__annotations__
    new.__dict__.update(old.__dict__)
    return new


def _check_same(fresh: CodeType, code: CodeType, found: Definition) -> None:
    """Assertions are left out of the comparison: test runners rewrite them."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(found)):
        return
    if list(map(_content, codes(fresh))) != list(map(_content, codes(code))):
        raise SurgeryError(f"the source of {code.co_qualname} in {code.co_filename} has changed since it was imported")


def _content(code: CodeType) -> tuple[object, ...]:
    constants = tuple((type(c), c) for c in code.co_consts if not isinstance(c, CodeType))
    return code.co_code, code.co_names, constants


class _Factory:
    """Compiles a changed definition in the surroundings of the original: its class (for private names), its closure."""

    def __init__(self, function: FunctionType, found: Definition, tree: ast.Module) -> None:
        self.original, self.code = function, function.__code__
        self.imports = _imports(tree)
        parts = self.code.co_qualname.split(".")
        self.class_name = parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None
        self.free = [name for name in self.code.co_freevars if name != "__class__" or self.class_name is None]

    def self_name(self, found: Definition, bind: bool) -> str | None:
        """By which name the function knows the module."""
        names = [*found.args.posonlyargs, *found.args.args]
        return SELF if bind else names[0].arg if names else None

    def compile(self, found: Definition, extra: tuple[str, ...]) -> CodeType:
        body = self._plain(found)
        if self.class_name:
            body = [ast.ClassDef(self.class_name, [], [], body, [])]
        names = [ast.arg(name) for name in (*self.free, *extra)]
        factory = ast.FunctionDef(
            "__factory__", ast.arguments([], names, None, [], [], None, []), body or [ast.Pass()], [], None
        )
        tree = ast.fix_missing_locations(ast.Module([*self.imports, factory], []))
        flags = self.code.co_flags & _PyCF_MASK
        whole = compile(tree, self.code.co_filename, "exec", flags=flags, dont_inherit=True)
        wanted = (self.code.co_name, self.code.co_firstlineno)
        for inner in codes(whole):
            if inner.co_name == wanted[0] and inner.co_firstlineno in (wanted[1], found.lineno):
                return _renamed(inner, inner.co_qualname, self.code.co_qualname)
        raise SurgeryError(f"{self.code.co_qualname} could not be compiled anew")

    def _plain(self, found: Definition) -> list[ast.stmt]:
        """The definition without what is evaluated where it stands: decorators, defaults, annotations."""
        arguments = found.args
        arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
        arguments.kw_defaults = [d and ast.Constant(None) for d in arguments.kw_defaults]
        for argument in [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]:
            if argument is not None:
                argument.annotation = None
        if isinstance(found, ast.Lambda):
            return [ast.Expr(found)]
        found.decorator_list, found.returns = [], None
        return [found]

    def function(self, code: CodeType, extra: Mapping[str, object]) -> FunctionType:
        old = self.original
        cells = dict(zip(old.__code__.co_freevars, old.__closure__ or (), strict=True))
        cells |= {name: CellType(value) for name, value in extra.items()}
        closure = tuple(cells[name] for name in code.co_freevars)
        return _dressed(FunctionType(code, old.__globals__, old.__name__, None, closure), old)


def _renamed(code: CodeType, prefix: str, wanted: str) -> CodeType:
    """The code with the factory's part of every qualified name taken away again."""
    constants = tuple(_renamed(c, prefix, wanted) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_qualname=wanted + code.co_qualname.removeprefix(prefix), co_consts=constants)


class _Editor(ast.NodeTransformer):
    def __init__(
        self,
        handlers: Mapping[Place, Handler],
        replaced: Mapping[str, FunctionType],
        self_name: str | None,
        local_runs: bool,
        code: CodeType,
    ) -> None:
        self.numbers = {spot_of(place): number for number, place in enumerate(handlers)}
        self.places = {spot_of(place): place for place in handlers}
        self.replaced, self.self_name, self.local_runs = replaced, self_name, local_runs
        self.names = {(inner.co_name, inner.co_firstlineno): _names(inner) for inner in codes(code)}
        self.scopes: list[set[str]] = []
        self.done: set[Place] = set()

    def _scope(self, node: Definition) -> ast.AST:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        self.scopes.append(self.names.get((name, first)) or self.names.get((name, node.lineno), set()))
        self.generic_visit(node)
        self.scopes.pop()
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _scope  # noqa: N815 - names that ast looks up

    def _hit(self, node: ast.AST) -> int | None:
        return self.numbers.get(spot(node))

    def _handed(self, node: ast.expr | ast.stmt, number: int, target: ast.expr, name: str, arguments: list[ast.expr],
                keywords: list[ast.keyword] | None = None) -> ast.Call:  # fmt: skip
        self.done.add(self.places[spot(node)])
        module: ast.expr = _load(self.self_name) if self.self_name else ast.Constant(None)
        runs = _load(RUNS) if self.local_runs else ast.Constant(None)
        head = [module, runs, target, ast.Constant(name)]
        call = ast.Call(_entry("handlers", number), head + arguments, keywords or [])
        # Every part without a position of its own gets the expression's: that is where the record will say it runs.
        return _placed(call, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        number = self._hit(node)
        self.generic_visit(node)
        if number is None or type(node.op) not in _BINARY:
            return node
        return self._handed(node, number, ast.Constant(None), _BINARY[type(node.op)], [node.left, node.right])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        number = self._hit(node)
        self.generic_visit(node)
        if number is None or type(node.op) not in _UNARY:
            return node
        return self._handed(node, number, ast.Constant(None), _UNARY[type(node.op)], [node.operand])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        number = self._hit(node)
        self.generic_visit(node)
        if number is None:
            return node
        name = "i" + _BINARY[type(node.op)].rstrip("_")
        call = self._handed(node, number, ast.Constant(None), name, [_reading(node.target), node.value])
        return ast.copy_location(ast.Assign([node.target], call), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        number = self._hit(node) if isinstance(node.ctx, ast.Load) else None
        self.generic_visit(node)
        if number is None:
            return node
        return self._handed(node, number, ast.Constant(None), "getitem", [node.value, _index(node.slice)])

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        number = self._hit(target) if len(node.targets) == 1 and isinstance(target, ast.Subscript) else None
        self.generic_visit(node)
        if number is None or not isinstance(target, ast.Subscript):
            return node
        arguments = [target.value, _index(target.slice), node.value]
        return self._kept(target.value, self._handed(target, number, ast.Constant(None), "setitem", arguments), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A statement such as `x.add_(y)`: its result is `x`, which an edit may make another tensor."""
        call = node.value
        changed = None
        if isinstance(call, ast.Call) and self._hit(call) is not None:
            changed = _overwritten(call, self.scopes[-1])
        self.generic_visit(node)
        return node if changed is None else self._kept(changed, node.value, node)

    def _kept(self, target: ast.expr, value: ast.expr, node: ast.stmt) -> ast.stmt:
        assignable = isinstance(target, ast.Attribute | ast.Subscript) or (
            isinstance(target, ast.Name) and target.id in self.scopes[-1]
        )
        if not assignable:
            return ast.copy_location(ast.Expr(value), node)
        stored = copy.deepcopy(target)
        stored.ctx = ast.Store()  # type: ignore[attr-defined]
        return ast.copy_location(ast.Assign([stored], value), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        number = self._hit(node)
        self.generic_visit(node)
        if number is None:
            return node
        if isinstance(node.func, ast.Attribute):
            return self._handed(node, number, node.func.value, node.func.attr, node.args, node.keywords)
        return self._handed(node, number, node.func, "", node.args, node.keywords)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return node if any(node.id in scope for scope in self.scopes) else self._function(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        dotted = f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""
        if dotted in self.replaced:
            return self._function(node, dotted)
        return self.generic_visit(node)

    def _function(self, node: ast.expr, name: str) -> ast.AST:
        if name not in self.replaced:
            return node
        bound = ast.Call(
            _entry("bind", None),
            [_entry("functions", name), _load(self.self_name) if self.self_name else ast.Constant(None)],
            [],
        )
        return _placed(bound, node)


def _imports(tree: ast.Module) -> list[ast.stmt]:
    """The file's own imports: the compiler treats a call of an imported module's function in another way."""
    found: list[ast.stmt] = []
    pending: list[ast.AST] = [tree]
    while pending:
        for node in ast.iter_child_nodes(pending.pop()):
            if isinstance(node, ast.Import | ast.ImportFrom):
                if getattr(node, "module", None) != "__future__":
                    found.append(node)
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler | ast.For | ast.While):
                pending.append(node)
    return found


def _entry(table: str, key: object) -> ast.expr:
    entry = ast.Subscript(_load(HANDLERS), ast.Constant(table), ast.Load())
    return entry if key is None else ast.Subscript(entry, ast.Constant(key), ast.Load())  # type: ignore[arg-type]


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _placed(new: ast.Call, node: ast.AST) -> ast.Call:
    for part in ast.walk(new):
        if not hasattr(part, "lineno") and isinstance(part, ast.expr | ast.keyword):
            ast.copy_location(part, node)
    return ast.copy_location(new, node)


def _reading(target: ast.expr) -> ast.expr:
    read = copy.deepcopy(target)
    read.ctx = ast.Load()  # type: ignore[attr-defined]
    return read


def _index(node: ast.expr) -> ast.expr:
    """An index as an expression: `a:b` becomes `slice(a, b, None)`."""
    if isinstance(node, ast.Slice):
        parts: list[ast.expr] = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
        return _placed(ast.Call(_entry("slice", None), parts, []), node)
    if isinstance(node, ast.Tuple):
        return ast.copy_location(ast.Tuple([_index(item) for item in node.elts], ast.Load()), node)
    return node


def _overwritten(call: ast.Call, names: set[str]) -> ast.expr | None:
    """What a call in place, by its name or its flag, overwrites: `x` of `x.add_(y)`, of `F.relu(x, inplace=True)`."""
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    if called.endswith("_") and not called.endswith("__"):
        return function.value if isinstance(function, ast.Attribute) and _is_variable(function.value, names) else first
    flags = [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "inplace")]
    return first if any(isinstance(flag, ast.Constant) and flag.value is True for flag in flags) else None


def _is_variable(node: ast.expr, names: set[str]) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in names


def _names(code: CodeType) -> set[str]:
    return {*code.co_varnames, *code.co_cellvars}
