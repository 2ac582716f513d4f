"""The data sets by name: one table, one function."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.data.cifar import CIFAR10, CIFAR100, Layout, load_cifar
from skipstone.data.digits import CLASSES, load_digits
from skipstone.data.fetch import fetch
from skipstone.data.folder import PREFIX, load_folder
from skipstone.data.given import load_given
from skipstone.data.images import Images, Splits, hold_out

Source = Callable[[Path | None], tuple[Images, Images, tuple[str, ...], Literal["none", "crop-flip"]]]


def load(name: str, folder: str | Path | None = None, *, val_fraction: float = 0.1, split_seed: int = 0) -> Splits:
    """The data set `name`, its validation part held out of its training part by a shuffle that `split_seed` fixes.

    `folder` is where CIFAR's binary version lies (a folder or the archive); without it the official archive is
    fetched once into the cache folder. The digits come with scikit-learn and take no folder.

    `file.py:make_data` is data of the user's own (see `skipstone.data.given`), `folder:PATH` a folder of pictures (see
    `skipstone.data.folder`); validation images are held out of their training part unless they bring their own.

    Raises:
        UnknownNameError: no such data set.
        DataError: files that are missing, cut short or malformed, or cannot be fetched.
    """
    if ":" in name:
        return _given(name, folder, val_fraction, split_seed)
    demand_known(name)
    train, test, classes, augmentation = _SOURCES[name](None if folder is None else Path(folder).expanduser())
    train, val = hold_out(train, val_fraction, split_seed)
    return Splits(name, train, val, test, classes, augmentation)


def demand_known(name: str) -> None:
    """Refuse a name that is neither in the table nor that of a user's function.

    Raises:
        UnknownNameError: no such data set.
    """
    if ":" not in name and name not in _SOURCES:
        raise UnknownNameError("data set", name, _SOURCES)


def _given(name: str, folder: str | Path | None, val_fraction: float, split_seed: int) -> Splits:
    if folder is not None:
        raise SkipstoneError(f"{name} takes no data folder, but {folder} was given; write it into the name itself")
    (train, val, test), classes = load_folder(name) if name.startswith(PREFIX) else load_given(name)
    if val is None:
        train, val = hold_out(train, val_fraction, split_seed)
    return Splits(name, train, val, test, classes, "none")


def names() -> tuple[str, ...]:
    """Every name that `load` takes."""
    return tuple(_SOURCES)


def _digits(folder: Path | None) -> tuple[Images, Images, tuple[str, ...], Literal["none"]]:
    if folder is not None:
        raise SkipstoneError(f"the digits come with scikit-learn and take no data folder, but {folder} was given")
    return *load_digits(), CLASSES, "none"


def _cifar(layout: Layout) -> Source:
    def source(folder: Path | None) -> tuple[Images, Images, tuple[str, ...], Literal["crop-flip"]]:
        path = fetch(layout.url, layout.md5, layout.archive) if folder is None else folder
        return *load_cifar(layout, path), layout.classes, "crop-flip"

    return source


_SOURCES: dict[str, Source] = {"digits": _digits, "cifar10": _cifar(CIFAR10), "cifar100": _cifar(CIFAR100)}
