"""Never called: a module with weights is made in the constructor, and no method reads it.

What it finds:
    A submodule with trainable parameters that was not used in training nor in evaluation, where the class's own code
    shows that it is used nowhere: no method but the constructor names it, no other module of the network's files takes
    it, and nothing loops over children or looks attributes up by text. A module whose weights are read without a call
    (attention's `out_proj`), one that another method calls (`encode`), and one behind a condition are left alone.
Why it matters:
    The network is not the one that was declared: a norm or projection that was meant is missing.
Example:
    `self.norm1 = nn.LayerNorm(d)` in `__init__`, and no `self.norm1(x)` anywhere.
Repair:
    None is proposed: call it, or leave it out.
Effect of the repair:
    None.
References:
    Vaswani et al. 2017, Attention Is All You Need, 1706.03762, section 3.1 (a norm around each of the two sub-layers).
"""

import ast
import inspect
import linecache
from collections.abc import Iterable, Iterator
from functools import cache

from torch import nn

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.source import method, place_of
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Place

RULE = Rule("SK406", "never-called", "warning", "a module with weights is declared, and no method reads it")

_CONSTRUCTORS = ("__init__", "reset_parameters", "init_weights", "_init_weights", "_reset_parameters", "initialize")
# What reaches children without naming them.
_BY_ANY_NAME = ("children", "named_children", "modules", "named_modules", "_modules", "getattr", "__dict__", "vars")
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    if graph.stopped is not None or graph.failures:
        return
    idle = _idle(subject.model, graph)
    if idle:
        idle &= _idle(subject.model, subject.in_mode(not subject.model.training))
    told: dict[type[nn.Module], dict[str, list[str]]] = {}
    for path in sorted(idle):
        parent, _, name = path.rpartition(".")
        kind = type(subject.module_at(parent))
        if not _is_read(kind, name, subject.model):
            told.setdefault(kind, {}).setdefault(name, []).append(parent)
    for kind, names in told.items():
        yield _fault(graph, kind, names)


def _idle(model: nn.Module, graph: Graph) -> set[str]:
    """The modules with weights that a pass neither called nor used, each below one that it did call.

    What a container holds is left out: which of its items run may be a matter of the input.
    """
    called = {"", *(call.path for call in graph.calls)}
    names = {parameter.name for parameter in graph.parameters if parameter.used}
    holders = {name[:end] for name in names for end in range(len(name)) if name[end] == "."}
    quiet = [
        path
        for path in graph.modules
        if path not in called and path.rpartition(".")[0] in called and path not in holders
    ]
    if not quiet:
        return set()
    modules = dict(model.named_modules())
    used = {id(p) for name, p in model.named_parameters() if name in names}  # a tied one by whichever of its names
    found = set()
    for path in quiet:
        if path not in modules or isinstance(modules[path.rpartition(".")[0]], _CONTAINERS):
            continue
        parameters = list(modules[path].parameters())
        if any(p.requires_grad for p in parameters) and not any(id(p) in used for p in parameters):
            found.add(path)
    return found


def _is_read(kind: type[nn.Module], name: str, model: nn.Module) -> bool:
    """Does any code but a constructor name the attribute, or reach the children in a way that names none?"""
    own = [base for base in kind.__mro__ if issubclass(base, nn.Module) and not base.__module__.startswith("torch.")]
    if not own or any(_tree(base) is None for base in own):
        return True
    for base in own:
        if any(name in _names(method) for method in _methods(base)):
            return True
    files = {file for module in model.modules() if (file := _file(type(module))) is not None}
    return any(name in _taken_from_others(file) for file in files)


def _tree(kind: type) -> ast.ClassDef | None:
    """The class as its file writes it, found by its methods' own lines; None where there is no source."""
    written = [value for value in vars(kind).values() if inspect.isfunction(value)]
    if not written:
        return _EMPTY
    first = written[0].__code__
    classes = [node for node in ast.walk(_file_tree(first.co_filename)) if isinstance(node, ast.ClassDef)]
    around = [node for node in classes if node.lineno <= first.co_firstlineno <= (node.end_lineno or 0)]
    return max(around, key=lambda node: node.lineno, default=None)


_EMPTY = ast.ClassDef("", bases=[], keywords=[], body=[], decorator_list=[])


@cache
def _file_tree(file: str) -> ast.Module:
    """A file's syntax tree; an empty one where it cannot be read."""
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


def _methods(kind: type) -> Iterator[ast.AST]:
    """What the class does once it is made."""
    tree = _tree(kind)
    assert tree is not None
    yield from (node for node in tree.body if getattr(node, "name", "") not in _CONSTRUCTORS)


def _names(tree: ast.AST) -> set[str]:
    """Every attribute and text in the code; anything at all where children are reached without a name."""
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return _Everything() if (found | called).intersection(_BY_ANY_NAME) else found


class _Everything(set[str]):
    def __contains__(self, name: object) -> bool:
        return True


def _file(kind: type) -> str | None:
    forward = inspect.unwrap(getattr(kind, "forward", None) or kind)
    return (
        None
        if kind.__module__.startswith("torch.") or not inspect.isfunction(forward)
        else forward.__code__.co_filename
    )


@cache
def _taken_from_others(file: str) -> set[str]:
    """The attributes that a file's code takes of anything but `self`, to call them or hand them on."""
    tree = _file_tree(file)
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    methods = [n for kind in ast.walk(tree) if isinstance(kind, ast.ClassDef) for n in kind.body]
    own = {n.args.args[0].arg for n in methods if isinstance(n, ast.FunctionDef) and n.args.args}  # `self`, as a rule
    looked_into = {id(node.value) for node in attributes if node.attr != "forward"}  # other.norm.weight calls no norm
    return {
        node.attr
        for node in attributes
        if id(node) not in looked_into and not (isinstance(node.value, ast.Name) and node.value.id in own)
    }


def _fault(graph: Graph, kind: type[nn.Module], names: dict[str, list[str]]) -> Fault:
    parents = list(dict.fromkeys(parent for found in names.values() for parent in found))
    told = _listed([f"self.{name}" for name in names])
    where = f" ({', '.join(parents[:4])}{', …' if len(parents) > 4 else ''})" if parents != [""] else ""
    verb, them = ("have weights and are", "them") if len(names) > 1 else ("has weights and is", "it")
    message = f"{told} of {kind.__name__}{where} {verb} made in the constructor; no method reads {them}"
    call = next((call for call in graph.calls if call.path == parents[0]), None)
    node = call.first if call is not None else 0
    return Fault(Where(min(node, len(graph) - 1), parents[0], _declared(kind, names)), message)


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _declared(kind: type[nn.Module], names: Iterable[str]) -> Place | None:
    """The line of the constructor that makes the first of them."""
    for base in kind.__mro__:
        if not issubclass(base, nn.Module) or "__init__" not in vars(base):
            continue
        tree = method(base, "__init__")
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in names:
                return place_of(base, "__init__", node)
    return None
