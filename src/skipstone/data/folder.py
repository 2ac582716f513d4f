"""A folder of pictures, a folder a class: `folder:PATH`, or `folder:PATH@64` for pictures of different sizes.

    PATH/train/cat/1.png   PATH/val/cat/2.png   PATH/test/cat/3.png      (`val` may be missing)
    PATH/cat/1.png         PATH/dog/2.png                               (a fifth of each class is held out as test)

Classes are numbered in the order of their names. With `@64` the shorter side of every picture becomes 64 and the middle
64 x 64 is kept. Pictures are grey if all of them are, else of three colours. They are read by Pillow.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from skipstone.data.images import DataError, Images, permutation

if TYPE_CHECKING:
    from PIL import Image

PREFIX = "folder:"
_ENDINGS = frozenset(".bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split())
_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_HELD_OUT = 5  # every fifth picture of a class, where there is no folder of test pictures
_GREY = ("1", "L")

File = tuple[Path, int]
"""A picture and the number of its class."""


def load_folder(name: str) -> tuple[tuple[Images, Images | None, Images], tuple[str, ...]]:
    """(training, validation if there is one, test), pixels uint8 (N, 1 or 3, H, W); and the names of the classes.

    Raises:
        DataError: Pillow is not installed; there is no such folder, or it has neither of the two forms; a picture can't
            be read, or is of another size than the first and no size was asked for. The text names the file.
    """
    root, size = _parsed(name)
    parts, classes = _parts(root)
    grey = all(_mode(path) in _GREY for path, _ in chain(*parts))
    first = _pixels(parts[0][0][0], grey, size)
    made: list[Images] = []
    for part in parts:
        pixels = torch.empty((len(part), *first.shape), dtype=torch.uint8)
        for index, (path, _) in enumerate(part):
            picture = _pixels(path, grey, size)
            if picture.shape != first.shape:
                raise DataError(
                    f"{path} has {_words(picture)} pixels, {parts[0][0][0]} {_words(first)}: "
                    f"give one size for all, as in"
                    f" --data {PREFIX}{root}@64"
                )
            pixels[index] = picture
        made.append(Images(pixels, torch.tensor([label for _, label in part])))
    train, *val, test = made
    return (train, val[0] if val else None, test), classes


def _parsed(name: str) -> tuple[Path, int | None]:
    """The folder, and the size that is asked for."""
    text, at, side = name.removeprefix(PREFIX).rpartition("@")
    if at and side.isdigit() and int(side) > 0:
        return _existing(text), int(side)
    return _existing(name.removeprefix(PREFIX)), None


def _existing(text: str) -> Path:
    root = Path(text).expanduser()
    if not text or not root.is_dir():
        raise DataError(
            f"there is no folder {text!r} of pictures; write {PREFIX}PATH, or {PREFIX}PATH@64 to resize them"
        )
    return root


def _parts(root: Path) -> tuple[list[list[File]], tuple[str, ...]]:
    """The files of each part, training first and test last, and the classes."""
    found = {part: next((root / n for n in names if (root / n).is_dir()), None) for part, names in _NAMES.items()}
    if found["train"] is None:
        classes = _classes(root)
        return list(_divided(_files(root, classes))), classes
    classes = _classes(found["train"])
    train, val, test = (None if folder is None else _files(folder, classes) for folder in found.values())
    assert train is not None
    if test is None:
        train, test = _divided(train)
    return [part for part in (train, val, test) if part is not None], classes


def _classes(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not names:
        raise DataError(
            f"{folder} holds no folders; expected one for each class, or train/ and test/ with such folders"
        )
    return names


def _files(folder: Path, classes: Sequence[str]) -> list[File]:
    unknown = sorted(set(_classes(folder)) - set(classes))
    if unknown:
        raise DataError(f"{folder / unknown[0]} is a class that the training pictures lack: {', '.join(classes)}")
    files = []
    for label, name in enumerate(classes):
        inside = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in _ENDINGS)
        files += [(path, label) for path in inside]
    if not files:
        raise DataError(f"{folder}: there are no pictures ({' '.join(sorted(_ENDINGS))}) in {', '.join(classes)}")
    return files


def _divided(files: list[File]) -> tuple[list[File], list[File]]:
    """Every fifth picture of each class, by a fixed shuffle, is a test picture."""
    train, test = [], []
    for label in sorted({label for _, label in files}):
        own = [file for file in files if file[1] == label]
        held = {int(i) for i in permutation(len(own), 0)[: max(1, len(own) // _HELD_OUT)]} if len(own) > 1 else set()
        train += [file for number, file in enumerate(own) if number not in held]
        test += [file for number, file in enumerate(own) if number in held]
    if not test:
        raise DataError("one picture a class: there is none to hold out for the test")
    return train, test


def _mode(path: Path) -> str:
    with _opened(path) as image:
        return image.mode


def _pixels(path: Path, grey: bool, size: int | None) -> torch.Tensor:
    """A picture as uint8 (1 or 3, H, W)."""
    with _opened(path) as image:
        array = np.array(_sized(image.convert("L" if grey else "RGB"), size))
    return torch.from_numpy(array).reshape(*array.shape[:2], -1).permute(2, 0, 1)


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise DataError("reading pictures needs Pillow, which is not installed: pip install pillow") from None
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow answers to a file that is no picture
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


def _sized(image: "Image.Image", size: int | None) -> "Image.Image":
    """The shorter side made `size`, the middle square kept."""
    if size is None or image.size == (size, size):
        return image
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height)).crop((left, top, left + size, top + size))


def _words(picture: torch.Tensor) -> str:
    return f"{picture.shape[2]}x{picture.shape[1]}"
