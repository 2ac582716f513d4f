"""Torch's own call of a module, with an entrance in front of it for the calls of roots.

The function is made from the source of the one that it stands in for, every part at its own line and column: its
frames read in any traceback as without us, also in those that the program prints itself, and a module that a network
calls within itself costs one look at a flag, and no frame.
"""

import ast
import inspect
import threading
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from torch import nn

Enter = Callable[[nn.Module, tuple[object, ...], Mapping[str, object]], bool]

# What is put in front: `pass` stands for the function's own statements, which follow once more for every other call.
_ENTRANCE = """
def factory(inside, enter, call):
    def {name}({self}, *{args}, **{kwargs}):
        if not inside.module and enter({self}, {args}, {kwargs}):
            try:
                pass
            finally:
                inside.module = False
    return {name}
"""
# For a function of somebody else's in the place of torch's, which may hold what its source does not show.
_RELAY = "def relay(self, *args, **kwargs):\n    return call(self, *args, **kwargs)"


class Inside(threading.local):
    """Is this thread within the call of a root module?"""

    module = False


def with_entrance(call: Callable[..., Any], inside: Inside, enter: Enter) -> Callable[..., Any]:
    """`call`, a method of (self, *args, **kwargs), that asks `enter` first unless its thread is inside.

    Where `enter` says True, having set `inside.module`, that is unset when the call has ended, however it ends.
    """
    own = _definition(call)
    if own is not None and isinstance(call, FunctionType):
        made = _made(own, inside, enter, call, call.__code__.co_filename, call.__globals__)
        made.__code__ = made.__code__.replace(co_qualname=call.__code__.co_qualname)
        made.__qualname__ = call.__qualname__
        return made
    relay = ast.parse(_RELAY).body[0]
    assert isinstance(relay, ast.FunctionDef)
    return _made(relay, inside, enter, call, __file__, globals())


def _made(
    own: ast.FunctionDef, inside: Inside, enter: Enter, call: Callable[..., Any], file: str, names: dict[str, Any]
) -> FunctionType:
    parameters = own.args
    assert parameters.vararg is not None
    assert parameters.kwarg is not None
    text = _ENTRANCE.format(
        name=own.name, self=parameters.args[0].arg, args=parameters.vararg.arg, kwargs=parameters.kwarg.arg
    )
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            ast.copy_location(node, own)
    made = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == own.name)
    next(n for n in ast.walk(tree) if isinstance(n, ast.Try)).body = own.body
    made.body += own.body
    namespace: dict[str, Any] = {}
    exec(compile(tree, file, "exec"), names, namespace)
    entered: FunctionType = namespace["factory"](inside, enter, call)
    return entered


def _definition(call: Callable[..., Any]) -> ast.FunctionDef | None:
    """The syntax tree of a method of (self, *args, **kwargs), its lines and columns those of its file.

    None for any other function, one whose source is not to be had, and one that holds variables of its maker.
    """
    if not isinstance(call, FunctionType) or call.__closure__:
        return None
    try:
        lines, first = inspect.getsourcelines(call)
    except OSError:
        return None
    # The method's indentation stays, and with it its columns: it becomes the body of an `if`.
    (block,) = ast.parse("if True:\n" + "".join(lines)).body
    ast.increment_lineno(block, first - 2)
    found = block.body[0] if isinstance(block, ast.If) else None
    if not isinstance(found, ast.FunctionDef) or found.args.vararg is None or found.args.kwarg is None:
        return None
    return found if len(found.args.args) == 1 else None
