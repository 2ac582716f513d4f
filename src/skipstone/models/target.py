"""A network by what a user types: `file.py:Name(64)`, `package.module:Name`, `timm:resnet50`, `skipstone:resnet20`.

Arguments are literals (numbers, texts, True, None, tuples, lists, dicts of these). Nothing typed is evaluated.
"""

import ast
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import TYPE_CHECKING

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.models.importing import (
    EndlessCodeError,
    PartialImportWarning,
    TargetError,
    built_in_time,
    ctrl_c,
    imported_file,
    imported_module,
    one_line,
    source_path,
    stopped_by,
    why_stopped,
)
from skipstone.models.zoos import ZOOS, zoo_builder

if TYPE_CHECKING:
    from torch import nn

_FORMS = "file.py:Name, file.py:factory(64, width=2), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME"
_ANY = "name"  # stands for a zoo's name, which need not be an identifier


@dataclass(frozen=True)
class Target:
    """What was typed, in parts: `where` (a file, a module or a zoo's name), `name` in it, the call's arguments.

    `called` tells `Name()` from `Name`.
    """

    text: str
    where: str
    name: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    called: bool = False


def resolve(target: str, /, **options: object) -> "nn.Module":
    """The network that `target` names, built with its own initialisation; `options` are further keyword arguments.

    A file is imported with its folder on `sys.path`, as `python file.py` would; the path and the modules imported from
    that folder are gone afterwards. What it prints goes to stderr.

    Raises:
        TargetError: the text has no known form, there is no such file, module or name, an argument is no literal, the
            file or the constructor raised, or the result is no `torch.nn.Module`.
    """
    return _resolve(target, options, on_meta=False)


def outline(target: str, /, **options: object) -> "nn.Module":
    """Like `resolve`, for callers who need shapes alone: the public zoos' networks come without weights.

    Their parameters are on torch's meta device, which takes no memory and no time to fill. Networks of files and
    packages are built as they are, because what their constructors do is not ours to bend.
    """
    return _resolve(target, options, on_meta=True)


def error_of(target: str) -> BaseException | None:
    """What the user's own code raised where the target's file was imported or its network built; None for nothing."""
    parsed = parse_target(target)
    try:
        if parsed.name:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PartialImportWarning)
                outline(target)
            return None
        with imported_file(parsed.where, target) as module:
            return stopped_by(module)
    except TargetError as error:
        return error.__cause__


def parse_target(text: str) -> Target:
    """Take a target apart.

    >>> parse_target("net.py:Block(64, 128, stride=2)").kwargs
    {'stride': 2}
    """
    where, colon, call = _split(text)
    if not where or (colon and not call):
        raise TargetError(f"target {text!r} is not understood; write one of: {_FORMS}")
    if not call:
        return Target(text, where, "")
    if where in ZOOS:
        name, parenthesis, rest = call.partition("(")
        args, kwargs = _arguments(text, _parsed(text, f"{_ANY}({rest}")) if parenthesis else ((), {})
        return Target(text, where, name.strip(), args, kwargs, bool(parenthesis))
    tree = _parsed(text, call)
    if isinstance(tree, ast.Call):
        args, kwargs = _arguments(text, tree)
        return Target(text, where, _dotted(text, tree.func), args, kwargs, called=True)
    return Target(text, where, _dotted(text, tree))


def demand_there(text: str) -> None:
    """Is there something to build the target from? Told before anything else is asked of whoever typed it.

    Raises:
        TargetError: the text has no known form, or its file is not there.
    """
    target = parse_target(text)
    if target.where.endswith(".py"):
        source_path(target.where, text)


def _split(text: str) -> tuple[str, str, str]:
    end = text.find(".py:")
    if end >= 0:  # a file's path may hold colons of its own
        return text[: end + 3].strip(), ":", text[end + 4 :].strip()
    if text.strip().endswith(".py"):
        return text.strip(), "", ""
    where, colon, call = text.partition(":")
    return where.strip(), colon, call.strip()


def _parsed(text: str, call: str) -> ast.expr:
    try:
        return ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError) as error:
        call = call.removeprefix(_ANY)
        raise TargetError(f"target {text!r}: {call!r} is not written like Name or Name(64, width=2)") from error


def _dotted(text: str, tree: ast.expr) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(text, tree.value)}.{tree.attr}"
    raise TargetError(f"target {text!r}: {ast.unparse(tree)!r} is no name; write Name or Name(64, width=2)")


def _arguments(text: str, tree: ast.expr) -> tuple[tuple[object, ...], dict[str, object]]:
    if not isinstance(tree, ast.Call):
        raise TargetError(f"target {text!r} is not written like NAME or NAME(64, width=2)")
    kwargs: dict[str, object] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise TargetError(f"target {text!r}: '**' cannot stand in a target; write each argument as name=value")
        kwargs[keyword.arg] = _literal(text, keyword.value)
    return tuple(_literal(text, value) for value in tree.args), kwargs


def _literal(text: str, tree: ast.expr) -> object:
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise TargetError(
            f"target {text!r}: argument {ast.unparse(tree)!r} is no literal; nothing typed here is evaluated, "
            "so give numbers, quoted texts, True, False, None, or tuples, lists and dicts of these"
        ) from error


def _resolve(text: str, options: Mapping[str, object], *, on_meta: bool) -> "nn.Module":
    target = parse_target(text)
    kwargs = {**target.kwargs, **options}
    if target.where in ZOOS:
        if not target.name:
            raise TargetError(f"target {text!r} names no network; write {target.where}:NAME")
        if target.args:
            raise TargetError(f"target {text!r}: arguments of {target.where}:{target.name} are written name=value")
        with redirect_stdout(sys.stderr):
            build = zoo_builder(target.where, target.name, text)
            return _built(target, lambda: build(**kwargs), on_meta)
    source = imported_file if target.where.endswith(".py") else imported_module
    with source(target.where, text) as module:
        return from_module(target, module, kwargs)


def from_module(target: Target, module: ModuleType, kwargs: Mapping[str, object]) -> "nn.Module":
    """Build a target from its module, which has been imported, with these arguments by name.

    Raises:
        TargetError: the module holds no such network, or it cannot be built.
    """
    from torch import nn

    if not target.name:
        raise TargetError(f"target {target.text!r} names no network in it{_offer(module)}")
    found: object = module
    for part in target.name.split("."):
        if not hasattr(found, part):
            if stopped := why_stopped(module):
                raise TargetError(f"target {target.text!r}: {stopped}, before {target.name} was there")
            raise _no_such_name(target, found, part)
        found = getattr(found, part)
    if stopped := why_stopped(module):
        warnings.warn(
            f"{stopped}; {target.name} was defined before that and is used", PartialImportWarning, stacklevel=4
        )
    if isinstance(found, nn.Module) and not target.called and not kwargs:
        return found
    if isinstance(found, nn.Module) or not callable(found):
        what = "a ready-made module: write it without arguments" if isinstance(found, nn.Module) else "not callable"
        raise TargetError(f"target {target.text!r}: {target.name} is {type(found).__name__}, {what}")
    if why := _no_factory(found):
        raise TargetError(f"target {target.text!r}: {target.name} is {why} and was not called; {_NAMES_WHAT}")
    build = partial(built_in_time, lambda: found(*target.args, **kwargs), getattr(module, "__file__", None))
    return _built(target, build, on_meta=False)


_NAMES_WHAT = "name a torch.nn.Module class, or a function of yours that returns one"
_NO_NETWORKS = frozenset(sys.stdlib_module_names | {"torch", "numpy"})  # packages none of whose functions builds one


def _no_factory(found: object) -> str | None:
    """Why a name must not be called: it can't give a network, and calling it may do anything else."""
    from torch import nn

    while isinstance(found, partial) or hasattr(found, "__wrapped__"):
        found = found.func if isinstance(found, partial) else found.__wrapped__
    if isinstance(found, type):
        return None if issubclass(found, nn.Module) else "a class of another kind"
    if isinstance(found, BuiltinFunctionType | MethodWrapperType):
        return "a built-in function"
    written = found if isinstance(found, FunctionType | MethodType) else type(found)
    home = str(getattr(written, "__module__", None) or "")
    return f"a function of {home}" if home.partition(".")[0] in _NO_NETWORKS else None


def _no_such_name(target: Target, found: object, part: str) -> TargetError:
    names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
    return TargetError(f"target {target.text!r}: {UnknownNameError('name', part, names)}")


def _offer(module: ModuleType) -> str:
    from torch import nn

    own = [
        name
        for name, value in vars(module).items()
        if isinstance(value, nn.Module)
        or (isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__)
    ]
    return f"; write {Path(module.__file__ or module.__name__).name}:NAME with one of: {', '.join(own)}" if own else ""


def _built(target: Target, build: Callable[[], object], on_meta: bool) -> "nn.Module":
    """What the constructor gives, or the constructor's own error on one line."""
    import torch
    from torch import nn

    network: object = None
    if on_meta:
        with suppress(RuntimeError, TypeError, ValueError), torch.device("meta"):
            network = build()  # a constructor that computes with values fails here and gets real ones below
    if network is None:
        try:
            network = build()
        except EndlessCodeError as error:
            raise TargetError(f"target {target.text!r}: {target.name} does not end: {error}") from error
        except SkipstoneError:
            raise
        except BaseException as error:
            if ctrl_c(error):
                raise
            raise TargetError(f"target {target.text!r}: {target.name} raised {one_line(error)}") from error
    if not isinstance(network, nn.Module):
        gave = type(network).__name__
        raise TargetError(f"target {target.text!r}: {target.name} gave {gave}, expected a torch.nn.Module")
    return network
