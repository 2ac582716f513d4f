"""CIFAR-10 and CIFAR-100 in their binary version, from a folder or an archive; nothing is ever unpickled.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009), and the data's own page: a record
is one label byte (CIFAR-100: two, coarse then fine) and 3,072 bytes of red, green and blue planes, row by row.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import torch

from skipstone.data.images import DataError, Images

PIXELS = 3 * 32 * 32

_ROOM = 1 << 24
"""How much an archive may hold besides the batches: names of the classes, a read-me, its own headers."""


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
    members = read_archive(layout, path)
    yield lambda name: _taken(members, path, name, layout)


def _holds_a_batch(folder: Path, layout: Layout) -> bool:
    return any((folder / name).is_file() for name, _ in layout.files)


def _read_file(folder: Path, name: str, layout: Layout) -> tuple[str, bytes]:
    path = folder / name
    if not path.is_file():
        raise DataError(f"{path} is missing; {_expected(layout)}")
    try:
        if (size := path.stat().st_size) != (expected := dict(layout.files)[name] * layout.record_bytes):
            raise _wrong_size(layout, str(path), size, expected)
        return str(path), path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}; {_expected(layout)}") from error


def read_archive(layout: Layout, path: Path) -> dict[str, tuple[str, bytes]]:
    """The batches in a tar archive, plain or by gzip: name -> (where it lies, its bytes).

    The archive is read once from end to end, so that gzip's checksum is compared, and never further than a set of this
    size reaches: what unpacks to more is refused before it is in memory, whatever its headers claim.
    """
    sizes = {name: count * layout.record_bytes for name, count in layout.files}
    found: dict[str, tuple[str, bytes]] = {}
    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            bounded = _Bounded(stream, sum(sizes.values()) + _ROOM)
            with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    name, where = PurePosixPath(member.name).name, f"{path}: {member.name}"
                    if not member.isfile() or name not in sizes or name in found:
                        continue
                    if member.size != sizes[name]:
                        raise _wrong_size(layout, where, member.size, sizes[name])
                    found[name] = where, archive.extractfile(member).read()
            while bounded.read(1 << 20):
                pass  # to the end, where gzip's checksum stands
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError) as error:
        # The last two: what Python's tarfile lets through where a damaged header holds a number that no size can be.
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a whole archive: {reason}; {_expected(layout)}") from error
    return found


class _Bounded:
    """A stream that ends with an error where more comes out of it than `limit` bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {self._limit:,} bytes")
        return data


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if packed:
        with gzip.open(file, "rb") as stream:
            yield stream  # type: ignore[misc]
    else:
        yield file


def _taken(members: dict[str, tuple[str, bytes]], path: Path, name: str, layout: Layout) -> tuple[str, bytes]:
    if name not in members:
        raise DataError(f"{path}: {name} is missing from the archive; {_expected(layout)}")
    return members.pop(name)


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
        raise _wrong_size(layout, where, len(data), count * size)
    records = np.frombuffer(data, np.uint8).reshape(count, size)
    wrong = np.flatnonzero(records[:, layout.label_bytes - 1] >= len(layout.classes))
    if wrong.size:
        first = int(wrong[0])
        label = int(records[first, layout.label_bytes - 1])
        raise DataError(f"{where}: label {label} in record {first}, expected 0 to {len(layout.classes) - 1}")
    return records


def _wrong_size(layout: Layout, where: str, found: int, expected: int) -> DataError:
    records = f"{expected // layout.record_bytes:,} records of {layout.record_bytes:,} bytes"
    return DataError(f"{where}: {found:,} bytes, expected {expected:,} ({records})")


def _nothing_here(layout: Layout, path: Path) -> str:
    if list(path.glob("cifar*-py*")) or (path / "batches.meta").is_file() or (path / "meta").is_file():
        return f"{path} holds the Python version, made of pickles, which skipstone never reads; {_expected(layout)}"
    return f"{path} holds no {layout.name}; {_expected(layout)}"


def _expected(layout: Layout) -> str:
    files = ", ".join(f"{name} ({count * layout.record_bytes:,} bytes)" for name, count in layout.files)
    return f"expected the binary version of {layout.name}: {files}, in a folder, or the archive {layout.archive}"
