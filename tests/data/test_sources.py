import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.data import DataError, Images, load, names
from skipstone.data.digits import _rows
from skipstone.data.fetch import fetch
from skipstone.data.images import hold_out, permutation


def test_names():
    assert names() == ("digits", "cifar10", "cifar100")


def test_digits_are_the_known_images_in_three_disjoint_parts():
    splits = load("digits")
    assert splits.shape == (1, 8, 8)
    assert splits.num_classes == 10
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [1212, 135, 450]
    parts = [splits.train, splits.val, splits.test]
    assert sum(int(p.pixels.sum()) for p in parts) == 561_718  # grey levels over all 1,797 images: nothing lost
    assert sum(p.labels.bincount(minlength=10) for p in parts).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip


def test_the_file_holds_what_scikit_learns_own_loader_gives(monkeypatch):
    direct = _rows()
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert (direct == _rows()).all()
    assert direct.shape == (1797, 65)


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setattr("skipstone.data.digits.find_spec", lambda name: None)
    with pytest.raises(DataError, match="the digits need scikit-learn, which is not installed: pip install"):
        load("digits")


def test_the_split_is_fixed_and_moves_with_its_seed_only():
    first, again, other = load("digits"), load("digits"), load("digits", split_seed=1)
    assert torch.equal(first.val.pixels, again.val.pixels)
    assert not torch.equal(first.val.pixels, other.val.pixels)
    assert torch.equal(first.test.pixels, other.test.pixels)
    assert permutation(10, 0).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]


def test_hold_out_keeps_every_image_once():
    images = Images(torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1), torch.arange(40))
    rest, held = hold_out(images, 0.25, seed=3)
    assert (len(rest), len(held)) == (30, 10)
    assert sorted([*rest.labels.tolist(), *held.labels.tolist()]) == list(range(40))
    assert torch.equal(rest.pixels.flatten().long(), rest.labels)


def test_hold_out_needs_two_images():
    one = Images(torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(DataError, match=r"1 image\(s\), expected at least 2"):
        hold_out(one, 0.5, 0)


def test_images_refuse_what_is_not_theirs():
    with pytest.raises(DataError, match=r"pixels are torch.float64 \(2, 1, 1, 1\), expected uint8 \(N, C, H, W\)"):
        Images(torch.zeros(2, 1, 1, 1, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match=r"labels are torch.int64 \(3,\), expected int64 \(2,\)"):
        Images(torch.zeros(2, 1, 1, 1, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown data set 'cifar-10'; nearest: cifar10"):
        load("cifar-10")


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(SkipstoneError, match="take no data folder"):
        load("digits", tmp_path)


@pytest.fixture
def address(tmp_path):
    """A web server on this machine that serves `tmp_path / served`."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "set.bin").write_bytes(b"whole")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_fetch_downloads_once_and_checks(address, tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPSTONE_CACHE", str(tmp_path / "cache"))
    md5 = hashlib.md5(b"whole").hexdigest()
    path = fetch(f"{address}/set.bin", md5, "set.bin")
    assert path.read_bytes() == b"whole"
    (tmp_path / "served" / "set.bin").unlink()
    assert fetch(f"{address}/set.bin", md5, "set.bin") == path


def test_fetch_with_another_checksum_keeps_nothing(address, tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPSTONE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cannot fetch http.*set\.bin.*hash.*give its path with --data-dir"):
        fetch(f"{address}/set.bin", "0" * 32, "set.bin")
    assert list((tmp_path / "cache").glob("*")) == []


def test_fetch_of_what_is_not_there(address, tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPSTONE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cannot fetch .*404.*--data-dir"):
        fetch(f"{address}/other.bin", "0" * 32, "other.bin")
