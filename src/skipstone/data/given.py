"""Data of the user's own: `file.py:make_data` returns datasets, which are read once into memory.

`make_data` returns (training, test) or (training, validation, test). Each is any `torch.utils.data.Dataset`, or
anything else that yields pairs (input, label); an input is

    a uint8 tensor (C, H, W), or an image as Pillow and NumPy hold it, (H, W) or (H, W, C) uint8: pixels, which are
        normalised, cropped and mirrored as the recipe says
    floats of any shape, (C, H, W), (T, F) or (F,): taken as they are, since whoever made floats has normalised them

and a label is a whole number from 0, or a map (H, W) of them, one for each pixel. Datasets are read in their own
order; the shuffle of training is ours.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.data.images import DataError, Images
from skipstone.models.importing import ctrl_c, imported_file, one_line
from skipstone.models.target import parse_target

Parts = tuple[Images, Images | None, Images]
"""Training, validation if it was given, test."""


def load_given(target: str) -> tuple[Parts, tuple[str, ...]]:
    """(the three parts, the names of the classes) that the function `file.py:make_data`, or `file.py:f(64)`, makes.

    Raises:
        DataError: it raised, or returned something else; inputs differ in shape or kind, labels are no whole numbers,
            a part is empty. The text names the part and the item.
        TargetError: there is no such file, module or function.
    """
    with _called(target) as made:
        if not isinstance(made, tuple | list) or len(made) not in (2, 3):
            raise DataError(f"{target} returned {_kind(made)}, expected (training, test) or (training, val, test)")
        names = ("training", "test") if len(made) == 2 else ("training", "validation", "test")
        parts = [collect(part, f"{target}: {name} item") for name, part in zip(names, made, strict=True)]
        classes = getattr(made[0], "classes", None)
    _demand_alike(target, parts)
    count = 1 + max(int(part.labels.max()) for part in parts)
    if not isinstance(classes, list | tuple) or len(classes) < count:
        classes = [f"class {i}" for i in range(count)]
    train, *val, test = parts
    return (train, val[0] if val else None, test), tuple(map(str, classes))


@contextmanager
def _called(text: str) -> Iterator[Any]:
    """What the function of the user's file returns; the file stays imported within, since datasets read from it."""
    target = parse_target(text)
    if not target.where.endswith(".py") or not target.name:
        raise UnknownNameError("data set", text, ["cifar10", "cifar100", "digits", "folder:PATH", "file.py:make_data"])
    with imported_file(target.where, text) as module:
        function = getattr(module, target.name, None)
        if not isinstance(function, FunctionType):
            own = [name for name, value in vars(module).items() if isinstance(value, FunctionType)]
            if function is None:
                raise DataError(f"{text}: {UnknownNameError('function', target.name, own)}")
            raise DataError(f"{text}: {target.name} is {_kind(function)}, expected a function that returns datasets")
        try:
            yield function(*target.args, **target.kwargs)
        except SkipstoneError:
            raise
        except BaseException as error:
            if ctrl_c(error):
                raise
            raise DataError(f"{text} raised {one_line(error)}") from error


def collect(dataset: object, what: str) -> Images:
    """All of a dataset in memory; `what` opens the text of a `DataError`, and the item's number follows it."""
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    for index, item in enumerate(_items(dataset, what)):
        where = f"{what} {index}"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{where} is {_kind(item)}, expected a pair (input, label)")
        x = _input(item[0], where)
        if inputs and (x.shape, x.dtype) != (inputs[0].shape, inputs[0].dtype):
            first = f"{tuple(inputs[0].shape)} {inputs[0].dtype}"
            raise DataError(f"{where} is {tuple(x.shape)} {x.dtype}, the first one {first}: all must be alike")
        inputs.append(x)
        labels.append(_label(item[1], where, tuple(x.shape[1:])))
        if labels[-1].shape != labels[0].shape:
            raise DataError(f"{where}: its label is {_shaped(labels[-1])}, the first one {_shaped(labels[0])}")
    if not inputs:
        raise DataError(f"{what}s: there are none")
    return Images(torch.stack(inputs), torch.stack(labels))


def _items(dataset: object, what: str) -> Iterator[object]:
    """A map-style dataset by index, whose iteration need not end; anything else as it iterates."""
    try:
        if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
            for index in range(len(dataset)):
                yield dataset[index]
        elif isinstance(dataset, Iterable):
            yield from dataset
        else:
            raise DataError(f"{what}s: {_kind(dataset)} is no dataset: it has neither items nor an iterator")
    except SkipstoneError:
        raise
    except Exception as error:  # whatever a user's dataset raises
        raise DataError(f"{what}s: reading them raised {one_line(error)}") from error


def _input(value: Any, where: str) -> Tensor:
    if isinstance(value, Tensor):
        x = value.detach().cpu()
    else:
        array = np.asarray(value)
        if array.dtype == object or array.ndim == 0:
            raise DataError(f"{where}: its input is {_kind(value)}, expected a tensor, an array or an image")
        x = torch.from_numpy(np.ascontiguousarray(array))
        if x.dtype == torch.uint8 and x.ndim in (2, 3):  # an image as Pillow and NumPy hold it
            x = x[None] if x.ndim == 2 else x.permute(2, 0, 1)
    if x.is_floating_point():
        return x.float()
    if x.dtype != torch.uint8:
        raise DataError(f"{where}: its input is {x.dtype}, expected uint8 pixels or floats")
    return x


def _label(value: Any, where: str, space: tuple[int, ...]) -> Tensor:
    """() int64, or of the input's `space` (H, W)."""
    if isinstance(value, Tensor | np.ndarray) and np.ndim(value):
        return _map(value, where, space)
    number = value.item() if isinstance(value, Tensor | np.generic | np.ndarray) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise DataError(f"{where}: its label is {value!r}, expected a whole number from 0")
    return torch.tensor(number)


def _map(value: "Tensor | np.ndarray[Any, Any]", where: str, space: tuple[int, ...]) -> Tensor:
    labels = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(value))
    if tuple(labels.shape) != space:
        raise DataError(
            f"{where}: its label has shape {tuple(labels.shape)}, expected a whole number or a map {space} of them"
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise DataError(f"{where}: its map of labels is {labels.dtype}, expected whole numbers")
    if labels.numel() and int(labels.min()) < 0:
        raise DataError(f"{where}: its map has the label {int(labels.min())}, expected whole numbers from 0")
    return labels.to(torch.int64)


def _shaped(label: Tensor) -> str:
    return f"a map {tuple(label.shape)}" if label.ndim else "one number"


def _demand_alike(target: str, parts: list[Images]) -> None:
    found = {
        f"{part.shape} {part.pixels.dtype}{f' with maps {part.label_shape}' if part.label_shape else ''}"
        for part in parts
    }
    if len(found) > 1:
        raise DataError(f"{target}: the parts differ: {' and '.join(sorted(found))}")


def _kind(value: object) -> str:
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
