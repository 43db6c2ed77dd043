"""Data sets in their published formats: read, checked against their digests, and unable to run code."""

import doctest
import gzip
import io
import pickle
import tarfile
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
from scipy.io import savemat

from analysis.shared import datasets
from tests.studies.generated import idx, published, write
from tropnet import FileFormatError

RNG = np.random.default_rng(0)
N = 7
GRAY = RNG.integers(0, 256, (N, 28, 28), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (N, 3, 32, 32), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 1, 1, 5, 0])


def archive(members):
    """Return a gzipped tar archive of the members of a folder cifar-10-batches-py."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            information = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            information.size = len(content)
            file.addfile(information, io.BytesIO(content))
    return buffer.getvalue()


def batch(images, labels, protocol=2):
    """Return a CIFAR-10 batch: a pickle with bytes as keys."""
    return pickle.dumps({b"data": images.reshape(len(images), -1), b"labels": list(map(int, labels))}, protocol)


def cifar_files(protocol=2):
    """Return the archive; the training part is the test part five times over."""
    one = batch(COLOUR, LABELS, protocol)
    return [archive({**{f"data_batch_{i}": one for i in range(1, 6)}, "test_batch": one})]


def svhn_files(**changes):
    """Return a .mat file with the digit zero as 10."""
    buffer = io.BytesIO()
    labels = np.where(LABELS == 0, 10, LABELS).astype(np.uint8)
    savemat(buffer, {"X": COLOUR.transpose(2, 3, 1, 0), "y": labels[:, None]} | changes)
    return [buffer.getvalue()]


FILES = {
    "mnist": ([idx(GRAY), idx(LABELS)], GRAY[:, None]),
    "fashion-mnist": ([idx(GRAY), idx(LABELS)], GRAY[:, None]),
    "cifar10": (cifar_files(), COLOUR),
    "svhn": (svhn_files(), COLOUR),
}


def both(contents):
    """Return the same contents for both parts."""
    return {"train": contents, "test": contents}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("subfolder", [True, False])
def test_published_formats(name, subfolder, tmp_path, monkeypatch):
    """Images and labels are those in the file, from a folder, its subfolder, or the folder that TROPNET_DATA names."""
    contents, pixels = FILES[name]
    dataset = published(name, both(contents))
    write(tmp_path / name if subfolder else tmp_path, dataset, contents)
    images = datasets.load(dataset, "test", folder=tmp_path)
    monkeypatch.setenv("TROPNET_DATA", str(tmp_path))
    again = datasets.load(dataset, "test")
    for found in (images, again):
        np.testing.assert_array_equal(found.pixels, pixels)
        np.testing.assert_array_equal(found.labels, LABELS)
        assert (found.pixels.dtype, found.labels.dtype, len(found)) == (np.uint8, np.int64, N)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_cifar10_batches_in_order(protocol, tmp_path):
    """The training part is the five batches one after the other, in whatever protocol they were pickled."""
    contents = cifar_files(protocol)
    dataset = published("cifar10", both(contents))
    write(tmp_path, dataset, contents)
    images = datasets.load(dataset, "train", folder=tmp_path)
    np.testing.assert_array_equal(images.pixels, np.concatenate([COLOUR] * 5))
    np.testing.assert_array_equal(images.labels, np.tile(LABELS, 5))


@pytest.mark.parametrize("name", FILES)
def test_truncated_and_altered_files_are_refused(name, tmp_path):
    """A file that is not the published one, byte by byte, is refused: with its name, both digests, and what to do."""
    contents, _ = FILES[name]
    dataset = published(name, both(contents))
    whole = contents[0]
    altered = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    for content in (whole[:-1], altered, b""):
        write(tmp_path, dataset, [content, *contents[1:]])
        first = dataset.files["test"][0]
        with pytest.raises(FileFormatError, match=rf"{first.name} must have the published sha256 .*Get it again from"):
            datasets.load(dataset, "test", folder=tmp_path)


def test_generated_files_are_not_the_published_ones(tmp_path):
    """The digests of the data sets themselves are asked for: small files in the right format do not pass as them."""
    for name, (contents, _) in FILES.items():
        write(tmp_path / name, datasets.DATASETS[name], contents)
        with pytest.raises(FileFormatError, match="truncated, altered or another file"):
            datasets.load(name, "test", folder=tmp_path)


def test_missing_files_are_named(tmp_path):
    """A folder without the file is told what to hold; nothing is fetched."""
    with pytest.raises(FileNotFoundError, match=r"svhn/test_32x32.mat must be the file published at http://ufldl"):
        datasets.load("svhn", "test", folder=tmp_path)


def test_examples_run():
    """The examples in the docstrings hold."""
    result = doctest.testmod(datasets)
    assert result.attempted > 0
    assert result.failed == 0


def test_unknown_names():
    """Data sets and parts go by their names."""
    with pytest.raises(ValueError, match="dataset must be one of cifar10, fashion-mnist, mnist, svhn, got 'cifar'"):
        datasets.load("cifar", "test")
    with pytest.raises(ValueError, match="split must be one of train, test, got 'extra'"):
        datasets.load("svhn", "extra")


class Harm:
    """Pickles as a call of print."""

    def __reduce__(self):
        return print, ("harm",)


MALFORMED = {
    "no gzip": ("mnist", [b"text", idx(LABELS)], "must be a complete gzip file"),
    "cut gzip": ("mnist", [idx(GRAY)[:-20], idx(LABELS)], "must be a complete gzip file"),
    "no idx": ("mnist", [gzip.compress(b"text and more"), idx(LABELS)], "must be an IDX file of bytes"),
    "empty idx": ("mnist", [gzip.compress(b""), idx(LABELS)], "must be an IDX file of bytes"),
    "short idx": (
        "mnist",
        [gzip.compress(gzip.decompress(idx(GRAY))[:-3]), idx(LABELS)],
        "ask for 5488 entries, got 5485",
    ),
    "two labels": ("mnist", [idx(LABELS), idx(LABELS)], "images must have 3 axes"),
    "labels missing": ("mnist", [idx(GRAY), idx(LABELS[:-1])], "one label per image, got 6 labels and 7 images"),
    "no archive": ("cifar10", [b"text"], "must be the archive of CIFAR-10"),
    "batch missing": ("cifar10", [archive({"data_batch_1": b""})], "must be the archive of CIFAR-10.*test_batch"),
    "code": ("cifar10", [archive({"test_batch": pickle.dumps(Harm())})], "it names builtins.print"),
    "another encoding": (
        "cifar10",
        [archive({"test_batch": b"c_codecs\nencode\n(Vx\nVzlib\ntR."})],
        "asks for the encoding zlib",
    ),
    "rows": ("cifar10", [archive({"test_batch": batch(GRAY, LABELS)})], "must hold uint8 rows of 3072, got uint8"),
    "no mat": ("svhn", [b"text" * 100], "must be a .mat file"),
    "gray": ("svhn", svhn_files(X=GRAY), "X must be uint8"),
    "digit 0 as 0": ("svhn", svhn_files(y=np.zeros((7, 1), dtype=np.uint8)), "y must be integers from 1 to 10"),
    "digit 11": ("svhn", svhn_files(y=np.full((7, 1), 11)), "y must be integers from 1 to 10"),
    "digit 1.5": ("svhn", svhn_files(y=np.full((7, 1), 1.5)), "y must be integers from 1 to 10"),
    "words": ("svhn", svhn_files(y=["one"] * 7), "y must be integers from 1 to 10"),
    "rows of labels": ("svhn", svhn_files(y=np.ones((7, 2), dtype=np.uint8)), "y must be integers from 1 to 10"),
    "nothing": ("svhn", svhn_files(X=COLOUR[:0].transpose(2, 3, 1, 0), y=np.ones((0, 1))), "must be"),
}


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_refused(case, tmp_path, capsys):
    """What is not in its format is refused with the file's name, and code in a pickle is not run."""
    name, contents, message = case
    dataset = published(name, both(contents))
    write(tmp_path, dataset, contents)
    with pytest.raises(FileFormatError, match=message) as caught:
        datasets.load(dataset, "test", folder=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert capsys.readouterr().out == ""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve an empty folder on this machine; fetched files go beside it."""
    monkeypatch.delenv("TROPNET_DATA", raising=False)
    monkeypatch.setattr(datasets.pooch, "os_cache", lambda _: tmp_path / "cache")
    (tmp_path / "www").mkdir()
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "www")) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("progress", [True, False])
def test_files_are_fetched_once(server, progress, tmp_path):
    """Files are fetched to the cache and read from there afterwards."""
    contents, pixels = FILES["mnist"]
    dataset = published("mnist", both(contents), server)
    write(tmp_path / "www", dataset, contents)
    for _ in range(2):
        images = datasets.load(dataset, "test", progress=progress)
        np.testing.assert_array_equal(images.pixels, pixels)
        for file in (tmp_path / "www").iterdir():
            file.unlink()
    assert len(list((tmp_path / "cache" / "mnist").iterdir())) == 2


def test_what_is_fetched_is_checked(server, tmp_path):
    """A server that gives another file, or none, is refused, and nothing is kept."""
    contents, _ = FILES["mnist"]
    dataset = published("mnist", both(contents), server)
    with pytest.raises(OSError, match=r"cannot be fetched.*TROPNET_DATA"):
        datasets.load(dataset, "test")
    write(tmp_path / "www", dataset, [contents[0][:-1], contents[1]])
    with pytest.raises(FileFormatError, match="does not give the published file"):
        datasets.load(dataset, "test")
    assert not list((tmp_path / "cache" / "mnist").glob("*.gz"))


def test_grayscale():
    """Luma is ITU-R 601: exact weights, rounded to the nearest, gray stays gray."""
    exact = np.tensordot(np.array([0.299, 0.587, 0.114]), COLOUR.astype(float), axes=(0, 1))[:, None]
    found = datasets.grayscale(COLOUR)
    assert found.shape == (N, 1, 32, 32)
    assert abs(found - exact).max() <= 0.51
    gray = np.repeat(np.arange(256, dtype=np.uint8)[None, None, None], 3, axis=1)
    np.testing.assert_array_equal(datasets.grayscale(gray)[0, 0, 0], np.arange(256))
