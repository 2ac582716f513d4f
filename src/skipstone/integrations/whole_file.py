"""Every network of a file, for `skipstone check net.py`: those that can be built, and what the others need."""

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType

from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.frameworks import other_backend
from skipstone.integrations.guessing import guess_input
from skipstone.integrations.settings import Job
from skipstone.models.importing import (
    EndlessCodeError,
    PartialImportWarning,
    TargetError,
    built_in_time,
    ctrl_c,
    imported_file,
    one_line,
    stopped_by,
    why_stopped,
)
from skipstone.models.target import from_module, parse_target, resolve
from skipstone.programs.seen import Seen, seen_in, showing
from skipstone.tracing import keras

_SAMPLES: Mapping[type, str] = {bool: "True", int: "64", float: "0.1", str: "'...'"}


@dataclass(frozen=True, slots=True)
class FileNetwork:
    """One network of a file: its job, the module as built, and what was guessed for it."""

    job: Job
    model: nn.Module
    guessed: str


@dataclass(frozen=True, slots=True)
class FileNetworks:
    """The networks of one file, and for each that can't be checked why."""

    networks: tuple[FileNetwork, ...]
    missing: tuple[str, ...]
    stopped: str | None  # what ended the import half-way, with its line
    error: BaseException | None = None  # and what that was


def networks_of(file: str, inputs: tuple[str, ...], mode: str, *, run: bool = False) -> FileNetworks:
    """Build each module class of a file that needs no argument, and take each module that it made.

    A class that the file makes and calls while it is imported is taken with those arguments and inputs; else, where no
    input is given, one is guessed. A file whose import raises half-way is taken as far as it came. With `run`, its own
    `__main__` part is run to see with which arguments and inputs it uses the classes that are left.

    Raises:
        TargetError: there is no such file, or nothing in it is a network.
    """
    networks: list[FileNetwork] = []
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        with showing(_is_of(file)) as shown:
            module = stack.enter_context(imported_file(file, file))
        stopped, error = why_stopped(module), stopped_by(module)
        found = dict(_networks(module))
        for name, value in found.items():
            used = [seen for seen in shown.seen if seen.name == name and seen.inputs and isinstance(value, type)]
            try:
                networks += [_as_used(file, seen, module, inputs, mode) for seen in used] or [
                    _network(file, name, value, inputs, mode)
                ]
            except SkipstoneError as refused:
                missing[name] = str(refused)
    if not found:
        raise TargetError(stopped or _nothing_in(file))
    if run and missing:
        networks += _shown(file, missing, inputs, mode)
    return FileNetworks(tuple(networks), tuple(missing.values()), stopped, error)


def _is_of(file: str) -> Callable[[type], bool]:
    """Is a class written in this file?"""
    path = Path(file).resolve()

    @cache
    def is_of(kind: type) -> bool:
        own = getattr(sys.modules.get(kind.__module__), "__file__", None)
        return own is not None and Path(own).resolve() == path

    return is_of


def _as_used(file: str, seen: Seen, module: ModuleType, inputs: tuple[str, ...], mode: str) -> FileNetwork:
    """A class as the file's own code, while it was imported, made and called it."""
    target = f"{file}:{seen.name}{seen.arguments}"
    parsed = parse_target(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialImportWarning)  # told once, for the file
        model = from_module(parsed, module, parsed.kwargs)
    return _seen_network(target, model, inputs, seen.inputs or (), mode)


def _shown(file: str, missing: dict[str, str], inputs: tuple[str, ...], mode: str) -> Iterator[FileNetwork]:
    """The networks that the file's own program makes of the classes that are missing, which then are so no longer."""
    shown, ended = seen_in(file, missing)
    for seen in shown:
        target = f"{file}:{seen.name}{seen.arguments}"
        try:
            model = resolve(target)
            used = seen.inputs or _guessed(model)
        except SkipstoneError as error:
            missing[seen.name] = str(error)
            continue
        if inputs or used:
            missing.pop(seen.name, None)
            yield _seen_network(target, model, inputs, used, mode)
    if ended:
        missing.update({name: f"{why} (running {file} raised {ended})" for name, why in missing.items()})


def _seen_network(
    target: str, model: nn.Module, given: tuple[str, ...], used: tuple[str, ...], mode: str
) -> FileNetwork:
    said = "" if given else f"as the file uses it: {' '.join(f'--input {text}' for text in used)}"
    return FileNetwork(Job(target, given or used, mode), model, said)


def _guessed(model: nn.Module) -> tuple[str, ...]:
    guess = guess_input(model)
    return (guess,) if guess is not None else ()


def _networks(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Module classes written in the file, in its order; then modules it made, of classes written elsewhere."""
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__:
            yield name, value
    for name, value in vars(module).items():
        if isinstance(value, nn.Module) and type(value).__module__ != module.__name__ and _has_weights(value):
            yield name, value  # a loss or an activation has no weights and is no network


def _nothing_in(file: str) -> str:
    said = f"{file} defines no torch.nn.Module class and makes no module"
    words = other_backend(sys.modules["keras"]) if "keras" in sys.modules else ""
    return f"{said}; {words}" if words else said


def _has_weights(module: nn.Module) -> bool:
    """Or will have: a model of Keras makes its weights when it is first called."""
    return next(module.parameters(), None) is not None or len(list(islice(keras.layers_in(module), 2))) > 1


def _network(file: str, name: str, value: object, inputs: tuple[str, ...], mode: str) -> FileNetwork:
    target = f"{file}:{name}"
    model = value if isinstance(value, nn.Module) else _built(file, name, value)
    if inputs:
        return FileNetwork(Job(target, inputs, mode), model, "")
    needed = _required(keras.own_forward(type(model)))[1:]
    if len(needed) != 1:
        raise TargetError(f"{name} takes {', '.join(needed) or 'no input'}: skipstone check {target} --input ...")
    guess = guess_input(model)
    if guess is None:
        sample = "32x32x3" if keras.is_layer(model) else "3x32x32"
        raise TargetError(f"{name} does not say what it takes: skipstone check {target} --input {sample}")
    return FileNetwork(Job(target, (guess,), mode), model, f"input guessed: --input {guess}")


def _built(file: str, name: str, kind: object) -> nn.Module:
    assert isinstance(kind, type)
    needed = _required(kind.__init__)[1:]  # type: ignore[misc]  # of this very class
    if needed:
        samples = ", ".join(_sample(kind, argument) for argument in needed)
        raise TargetError(f"{name} needs {', '.join(needed)}: skipstone check '{file}:{name}({samples})'")
    try:
        made = built_in_time(kind, file)
    except EndlessCodeError as error:
        raise TargetError(f"{name}() does not end: {error}") from error
    except BaseException as error:
        if ctrl_c(error):
            raise
        raise TargetError(f"{name} cannot be built: {one_line(error)}") from error
    assert isinstance(made, nn.Module)
    return made


def _required(function: object) -> list[str]:
    """The names of the parameters that have no default, `self` among them."""
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind in positional]


def _sample(kind: type, argument: str) -> str:
    """A value to show in the argument's place: of its annotated kind, else a width."""
    annotation = inspect.signature(kind.__init__).parameters[argument].annotation  # type: ignore[misc]
    return _SAMPLES.get(annotation, "64")
