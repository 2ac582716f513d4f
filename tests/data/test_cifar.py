import gzip
import io
import os
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import skipstone.data.cifar as cifar
import skipstone.data.sources as sources
from skipstone.data import DataError, load
from skipstone.data.cifar import CIFAR10, CIFAR100, Layout, load_cifar

SMALL = replace(CIFAR10, train=(("data_batch_1.bin", 4), ("data_batch_2.bin", 4)), test=(("test_batch.bin", 4),))
SMALL100 = replace(CIFAR100, train=(("train.bin", 4),), test=(("test.bin", 2),))


def write(folder: Path, layout: Layout, label: int = 0) -> Path:
    """A complete set: record i of a file has last label byte (label + i), and every pixel equal to i."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in layout.files:
        rows = np.zeros((count, layout.record_bytes), np.uint8)
        rows[:] = np.arange(count)[:, None]
        rows[:, layout.label_bytes - 1] += label
        (folder / name).write_bytes(rows.tobytes())
    return folder


def pack(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    return path


def test_the_layouts_are_the_published_ones():
    assert [count * CIFAR10.record_bytes for _, count in CIFAR10.files] == [30_730_000] * 6
    assert [count * CIFAR100.record_bytes for _, count in CIFAR100.files] == [153_700_000, 30_740_000]


@pytest.mark.parametrize("layout", [SMALL, SMALL100], ids=["cifar10", "cifar100"])
def test_folder_parent_and_archive_hold_the_same_images(tmp_path, layout):
    folder = write(tmp_path / layout.folder, layout, label=2)
    archive = pack(folder, tmp_path / "elsewhere.tar.gz")
    (tmp_path / "downloads").mkdir()
    named = pack(folder, tmp_path / "downloads" / layout.archive)
    for path in (folder, tmp_path, archive, named.parent):
        train, test = load_cifar(layout, path)
        assert train.shape == (3, 32, 32)
        assert len(train) == sum(n for _, n in layout.train)
        assert train.labels[:4].tolist() == [2, 3, 4, 5]
        assert train.pixels[:4, 2, 31, 31].tolist() == [0, 1, 2, 3]
        assert len(test) == sum(n for _, n in layout.test)


def test_planes_are_red_green_blue_row_by_row(tmp_path):
    folder = write(tmp_path, SMALL)
    record = np.arange(cifar.PIXELS, dtype=np.int64) % 251
    rows = np.zeros((4, SMALL.record_bytes), np.uint8)
    rows[1, 1:] = record
    (folder / "test_batch.bin").write_bytes(rows.tobytes())
    _, test = load_cifar(SMALL, folder)
    assert test.pixels[1, 1, 2, 3] == (1024 + 2 * 32 + 3) % 251


def test_cifar100_takes_the_fine_label(tmp_path):
    folder = write(tmp_path, SMALL100)
    rows = np.zeros((2, SMALL100.record_bytes), np.uint8)
    rows[:, 0], rows[:, 1] = 19, 99
    (folder / "test.bin").write_bytes(rows.tobytes())
    assert load_cifar(SMALL100, folder)[1].labels.tolist() == [99, 99]


def test_truncated_file_is_named_with_the_size_expected(tmp_path):
    folder = write(tmp_path, SMALL)
    path = folder / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DataError, match=r"data_batch_2\.bin: 12,291 bytes, expected 12,292 \(4 records of 3,073 bytes\)"
    ):
        load_cifar(SMALL, folder)


def test_label_out_of_range_is_named_with_its_record(tmp_path):
    folder = write(tmp_path, SMALL, label=7)
    with pytest.raises(DataError, match=r"data_batch_1\.bin: label 10 in record 3, expected 0 to 9"):
        load_cifar(SMALL, folder)


def test_missing_batch_is_named_with_all_that_is_expected(tmp_path):
    folder = write(tmp_path, SMALL)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(
        DataError, match=r"data_batch_2\.bin is missing; expected the binary version of cifar10: data_b"
    ):
        load_cifar(SMALL, folder)


def test_batch_missing_from_the_archive(tmp_path):
    folder = write(tmp_path / SMALL.folder, SMALL)
    (folder / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"x\.tgz: test_batch\.bin is missing from the archive; expected the binary"):
        load_cifar(SMALL, pack(folder, tmp_path / "x.tgz"))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.98])
def test_archive_cut_short_at_any_place(tmp_path, keep):
    folder = write(tmp_path / SMALL.folder, SMALL)
    rng = np.random.default_rng(0)  # incompressible pixels, so that the cut falls inside the data
    for name, count in SMALL.files:
        rows = rng.integers(0, 10, (count, SMALL.record_bytes), dtype=np.uint8)
        (folder / name).write_bytes(rows.tobytes())
    path = pack(folder, tmp_path / SMALL.archive)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else keep])
    with pytest.raises(
        DataError, match=r"cifar-10-binary\.tar\.gz: not a whole archive: .+; expected the binary version"
    ):
        load_cifar(SMALL, path)


def test_a_flipped_bit_anywhere_in_an_archive_is_noticed(tmp_path):
    """Or changes nothing: gzip's header has fields that nobody reads (time, system)."""
    folder = write(tmp_path / SMALL.folder, SMALL)
    path = pack(folder, tmp_path / SMALL.archive)
    whole = path.read_bytes()
    images = load_cifar(SMALL, path)
    noticed = 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            again = load_cifar(SMALL, path)
        except DataError:
            noticed += 1
        else:
            for one, other in zip(images, again, strict=True):
                assert one.pixels.equal(other.pixels)
                assert one.labels.equal(other.labels)
    assert noticed > 0.9 * len(whole)


HUGE = 64_000_000


def bomb(*members: tuple[str, bytes, int]) -> bytes:
    """A packed archive of (name, type, size claimed); the last one's bytes are there, all zero."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", compresslevel=1) as packed:
        for name, kind, size in members:
            made = tarfile.TarInfo(name)
            made.size, made.type = size, kind
            packed.write(made.tobuf(tarfile.GNU_FORMAT))
        packed.write(bytes(HUGE))
    return buffer.getvalue()


BOMBS = {
    "a batch": [("data_batch_1.bin", tarfile.REGTYPE, HUGE)],
    "another file": [("readme.html", tarfile.REGTYPE, HUGE)],
    "a long name": [("././@LongLink", tarfile.GNUTYPE_LONGNAME, HUGE)],
    "a pax header": [("pax", tarfile.XHDTYPE, HUGE)],
    "a file behind another": [("readme.html", tarfile.REGTYPE, 0), ("more", tarfile.REGTYPE, HUGE)],
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_archive_that_unpacks_to_much_is_refused_in_little_memory(tmp_path, kind):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(bomb(*BOMBS[kind]))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"unpacks to more than [0-9,]+ bytes|64,000,000 bytes, expected 12,292"):
            load_cifar(SMALL, path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_pickles_are_refused_unread(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match="holds the Python version, made of pickles, which skipstone never reads"):
        load_cifar(CIFAR10, tmp_path)


def test_archive_members_that_are_no_files_are_not_read(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link, io.BytesIO())
    with pytest.raises(DataError, match=r"data_batch_1\.bin is missing from the archive"):
        load_cifar(CIFAR10, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nowhere", r"nowhere: no such file or folder; expected the binary version of cifar10"),
        (lambda p: p, r"holds no cifar10; expected the binary version of cifar10"),
    ],
)
def test_nothing_there(tmp_path, make, message):
    with pytest.raises(DataError, match=message):
        load("cifar10", make(tmp_path))


def test_no_source_imports_pickle():
    folder = Path(sources.__file__).parent
    texts = {file.name: file.read_text() for file in folder.glob("*.py")}
    assert [name for name, text in texts.items() if "import pickle" in text or "np.load(" in text] == []


@pytest.mark.slow
def test_the_real_copy():
    folder = os.environ.get("SKIPSTONE_CIFAR10")
    if not folder:
        pytest.skip("SKIPSTONE_CIFAR10 names no folder")
    splits = load("cifar10", folder)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (45_000, 5_000, 10_000)
    assert splits.test.labels.bincount().tolist() == [1_000] * 10
    assert (splits.train.labels.bincount() + splits.val.labels.bincount()).tolist() == [5_000] * 10
