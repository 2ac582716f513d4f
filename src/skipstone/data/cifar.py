"""CIFAR-10 and CIFAR-100 in their binary version, from a folder or an archive; nothing is ever unpickled.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009), and the data's own page: a record
is one label byte (CIFAR-100: two, coarse then fine) and 3,072 bytes of red, green and blue planes, row by row.
"""

import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from skipstone.data.images import DataError, Images

PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the records lie: files of (name, number of records), label bytes a record (the last one counts)."""

    name: str
    folder: str
    archive: str
    url: str
    md5: str
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    label_bytes: int
    classes: tuple[str, ...]

    @property
    def files(self) -> tuple[tuple[str, int], ...]:
        return self.train + self.test

    @property
    def record_bytes(self) -> int:
        return self.label_bytes + PIXELS


CIFAR10 = Layout(
    name="cifar10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    train=tuple((f"data_batch_{i}.bin", 10_000) for i in range(1, 6)),
    test=(("test_batch.bin", 10_000),),
    label_bytes=1,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)

CIFAR100 = Layout(
    name="cifar100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    train=(("train.bin", 50_000),),
    test=(("test.bin", 10_000),),
    label_bytes=2,
    classes=tuple(f"class {i}" for i in range(100)),
)

Reader = Callable[[str], tuple[str, bytes]]
"""File name -> (where it lies, for an error's text; its bytes)."""


def load_cifar(layout: Layout, path: Path) -> tuple[Images, Images]:
    """(training, test) from `path`: the folder of batches, a folder that holds it or the archive, or the archive.

    Raises:
        DataError: a file is missing, too short or too long, or has a label out of range; the text names it.
    """
    with _reader(layout, path) as read:
        return _images(layout, layout.train, read), _images(layout, layout.test, read)


@contextmanager
def _reader(layout: Layout, path: Path) -> Iterator[Reader]:
    if path.is_dir():
        folder = next((p for p in (path / layout.folder, path) if _holds_a_batch(p, layout)), None)
        if folder is not None:
            yield lambda name: _read_file(folder, name, layout)
            return
        if not (path / layout.archive).is_file():
            raise DataError(_nothing_here(layout, path))
        path = path / layout.archive
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; {_expected(layout)}")
    try:
        with tarfile.open(path, mode="r:*") as archive:
            yield lambda name: _read_member(archive, path, name, layout)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a whole archive: {reason}; {_expected(layout)}") from error


def _holds_a_batch(folder: Path, layout: Layout) -> bool:
    return any((folder / name).is_file() for name, _ in layout.files)


def _read_file(folder: Path, name: str, layout: Layout) -> tuple[str, bytes]:
    path = folder / name
    if not path.is_file():
        raise DataError(f"{path} is missing; {_expected(layout)}")
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}; {_expected(layout)}") from error


def _read_member(archive: tarfile.TarFile, path: Path, name: str, layout: Layout) -> tuple[str, bytes]:
    for member in archive.getmembers():
        if member.isfile() and PurePosixPath(member.name).name == name:
            stream = archive.extractfile(member)
            if stream is not None:
                return f"{path}: {member.name}", stream.read()
    raise DataError(f"{path}: {name} is missing from the archive; {_expected(layout)}")


def _images(layout: Layout, files: tuple[tuple[str, int], ...], read: Reader) -> Images:
    total = sum(count for _, count in files)
    pixels = np.empty((total, PIXELS), np.uint8)
    labels = np.empty(total, np.int64)
    start = 0
    for name, count in files:
        records = _records(layout, count, *read(name))
        pixels[start : start + count] = records[:, layout.label_bytes :]
        labels[start : start + count] = records[:, layout.label_bytes - 1]
        start += count
    return Images(torch.from_numpy(pixels).view(total, 3, 32, 32), torch.from_numpy(labels))


def _records(layout: Layout, count: int, where: str, data: bytes) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    size = layout.record_bytes
    if len(data) != count * size:
        raise DataError(
            f"{where}: {len(data):,} bytes, expected {count * size:,} ({count:,} records of {size:,} bytes)"
        )
    records = np.frombuffer(data, np.uint8).reshape(count, size)
    wrong = np.flatnonzero(records[:, layout.label_bytes - 1] >= len(layout.classes))
    if wrong.size:
        first = int(wrong[0])
        label = int(records[first, layout.label_bytes - 1])
        raise DataError(f"{where}: label {label} in record {first}, expected 0 to {len(layout.classes) - 1}")
    return records


def _nothing_here(layout: Layout, path: Path) -> str:
    if list(path.glob("cifar*-py*")) or (path / "batches.meta").is_file() or (path / "meta").is_file():
        return f"{path} holds the Python version, made of pickles, which skipstone never reads; {_expected(layout)}"
    return f"{path} holds no {layout.name}; {_expected(layout)}"


def _expected(layout: Layout) -> str:
    files = ", ".join(f"{name} ({count * layout.record_bytes:,} bytes)" for name, count in layout.files)
    return f"expected the binary version of {layout.name}: {files}, in a folder, or the archive {layout.archive}"
