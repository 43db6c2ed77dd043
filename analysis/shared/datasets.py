"""MNIST, Fashion-MNIST, CIFAR-10 and SVHN in their published formats: fetched, or read from a local folder.

Every file is checked against its published digest before it is read, and no file can run code. With the environment
variable TROPNET_DATA, or a folder given to `load`, files are read from there and nothing is fetched.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from scipy.io import loadmat

from tropnet.errors import FileFormatError

__all__ = [
    "DATASETS",
    "FOLDER_VARIABLE",
    "Images",
    "Published",
    "PublishedFile",
    "grayscale",
    "load",
    "local_or_fetched",
]

FOLDER_VARIABLE = "TROPNET_DATA"
_SPLITS = ("train", "test")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Images and what they show.

    Attributes
    ----------
    pixels
        uint8, shape (n, channels, height, width).
    labels
        int64, shape (n,): the classes 0 to 9. SVHN's file calls the digit zero 10; here it is 0.
    """

    pixels: Bytes
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class PublishedFile:
    """A file: its name, where it is published, and its digest as "md5:..." or "sha256:..."."""

    name: str
    url: str
    digest: str


@dataclass(frozen=True)
class Published:
    """A data set: the files of each part, and how their bytes are read.

    `read` takes the part ("train" or "test") and the bytes of its files in order, and returns the images.
    """

    name: str
    files: Mapping[str, tuple[PublishedFile, ...]]
    read: Callable[[str, list[bytes]], Images]


def load(
    dataset: str | Published, split: str, *, folder: str | os.PathLike[str] | None = None, progress: bool = True
) -> Images:
    """Return the images of one part of a data set.

    Parameters
    ----------
    dataset
        "mnist", "fashion-mnist", "cifar10" or "svhn", or another `Published`.
    split
        "train" or "test".
    folder
        Read the published files from here, or from the subfolder of the data set's name; without it from TROPNET_DATA
        if that is set. Else files are fetched once, to the user's cache.
    progress
        Show a bar while fetching.

    Raises
    ------
    ValueError
        There is no such data set or part.
    FileNotFoundError
        The folder does not hold a file.
    FileFormatError
        A file does not have its published digest (it is truncated, altered or another file), or is not in its format.
    OSError
        A file cannot be fetched.

    Examples
    --------
    >>> load("emnist", "train")
    Traceback (most recent call last):
    ...
    ValueError: dataset must be one of cifar10, fashion-mnist, mnist, svhn, got 'emnist'.
    """
    if isinstance(dataset, str):
        if dataset not in DATASETS:
            raise ValueError(f"dataset must be one of {', '.join(sorted(DATASETS))}, got {dataset!r}.")
        dataset = DATASETS[dataset]
    if split not in _SPLITS:
        raise ValueError(f"split must be one of {', '.join(_SPLITS)}, got {split!r}.")
    paths = [local_or_fetched(dataset.name, file, folder, progress=progress) for file in dataset.files[split]]
    try:
        images = dataset.read(split, [path.read_bytes() for path in paths])
    except FileFormatError as error:
        raise FileFormatError(f"{', '.join(map(str, paths))}: {error}") from error
    if len(images.pixels) != len(images.labels):
        raise FileFormatError(
            f"{', '.join(map(str, paths))}: there must be one label per image, got {len(images.labels)} labels and"
            f" {len(images.pixels)} images."
        )
    return images


def grayscale(pixels: Bytes) -> Bytes:
    """Return uint8 (n, 1, height, width) from colours (n, 3, height, width): ITU-R 601 luma, rounded as Pillow does.

    Examples
    --------
    >>> grayscale(np.array([[[[255]], [[0]], [[0]]]], dtype=np.uint8))
    array([[[[76]]]], dtype=uint8)
    """
    # 0.299, 0.587 and 0.114 in units of 2**-16.
    red, green, blue = (pixels[:, i : i + 1].astype(np.uint32) for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


# --- where the files come from


def local_or_fetched(
    dataset: str, file: PublishedFile, folder: str | os.PathLike[str] | None = None, *, progress: bool = True
) -> Path:
    """Return the path of a file whose digest is the published one; see `load`."""
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return _fetched(dataset, file, progress=progress)
    candidates = [Path(folder) / dataset / file.name, Path(folder) / file.name]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"{candidates[0]} must be the file published at {file.url}; it is not there. Put it there, or unset"
            f" {FOLDER_VARIABLE} and give no folder to have it fetched."
        )
    algorithm, _, digest = file.digest.partition(":")
    actual = pooch.file_hash(str(found), alg=algorithm)
    if actual != digest:
        raise FileFormatError(
            f"{found} must have the published {algorithm} {digest}, got {actual} ({found.stat().st_size:,} bytes): it"
            f" is truncated, altered or another file. Get it again from {file.url}."
        )
    return found


def _fetched(dataset: str, file: PublishedFile, *, progress: bool) -> Path:
    bar = _Bar(file.name) if progress else False
    try:
        path = pooch.retrieve(
            file.url,
            known_hash=file.digest,
            fname=file.name,
            path=Path(pooch.os_cache("tropnet")) / dataset,
            downloader=pooch.HTTPDownloader(progressbar=bar, timeout=60),
        )
    except ValueError as error:  # what pooch raises for another digest; it keeps no such file
        raise FileFormatError(f"{file.url} does not give the published file: {error}") from error
    except OSError as error:
        raise OSError(
            f"{file.url} cannot be fetched ({error}). Put the file into a folder {dataset}/ and name the folder above"
            f" it in {FOLDER_VARIABLE}."
        ) from error
    finally:
        if bar:
            bar.close()
    return Path(path)


class _Bar:
    """What pooch asks of a progress bar, drawn on standard error where that is a terminal."""

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
        self._display = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._display.add_task(name, total=None)

    @property
    def total(self) -> float | None:
        """The number of bytes to come."""
        return self._display.tasks[0].total

    @total.setter
    def total(self, n_bytes: int) -> None:
        self._display.update(self._task, total=n_bytes or None)
        self._display.start()

    def update(self, n_bytes: int) -> None:
        """Count bytes."""
        self._display.advance(self._task, n_bytes)

    def reset(self) -> None:
        """Count from zero again."""
        self._display.update(self._task, completed=0)

    def close(self) -> None:
        """Take the bar away."""
        self._display.stop()


# --- the formats


def _read_idx(data: bytes) -> Bytes:
    """Return the array of a gzipped IDX file of unsigned bytes: a magic number, the lengths, the entries."""
    try:
        content = gzip.decompress(data)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileFormatError(f"it must be a complete gzip file: {error}.") from error
    n_axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * n_axes
    if content[:3] != b"\x00\x00\x08" or n_axes not in (1, 3) or len(content) < start:
        raise FileFormatError(f"it must be an IDX file of bytes with 1 or 3 axes, but it begins with {content[:4]!r}.")
    shape = tuple(np.frombuffer(content, ">u4", n_axes, offset=4).tolist())
    if len(content) != start + math.prod(shape):
        raise FileFormatError(f"its lengths {shape} ask for {math.prod(shape)} entries, got {len(content) - start}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_idx_pair(split: str, files: list[bytes]) -> Images:  # noqa: ARG001 (the files tell)
    pixels, labels = map(_read_idx, files)
    if (pixels.ndim, labels.ndim) != (3, 1):
        raise FileFormatError(f"images must have 3 axes and labels 1, got {pixels.ndim} and {labels.ndim}.")
    return Images(pixels[:, None].copy(), labels.astype(np.int64))


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of numpy arrays, lists, dictionaries and text; anything else in them is refused, not called."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        name = f"{module_name.replace('numpy._core', 'numpy.core')}.{global_name}"
        if name not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {name}, which no CIFAR-10 batch needs")
        return _ALLOWED[name]


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode(encoding)


_ALLOWED: dict[str, Any] = {
    # Rebuilds an empty array, whose state is set afterwards.
    "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _encode_latin1,
}
_CIFAR_BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


def _read_cifar10(split: str, files: list[bytes]) -> Images:
    """Return the images of the batches in cifar-10-python.tar.gz; pickles, of which only arrays are read."""
    pixels, labels = [], []
    try:
        with tarfile.open(fileobj=io.BytesIO(files[0]), mode="r:gz") as archive:
            for batch in _CIFAR_BATCHES[split]:
                member = archive.extractfile(f"cifar-10-batches-py/{batch}")
                if member is None:
                    raise FileFormatError(f"{batch} must be a file.")
                content = _ArraysOnly(member, encoding="bytes").load()
                data = np.asarray(content[b"data"])
                if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
                    raise FileFormatError(f"{batch} must hold uint8 rows of 3072, got {data.dtype} {data.shape}.")
                pixels.append(data.reshape(-1, 3, 32, 32))
                labels.append(np.asarray(content[b"labels"], dtype=np.int64))
    except FileFormatError:
        raise
    except Exception as error:  # a damaged archive or pickle can raise anything
        raise FileFormatError(f"it must be the archive of CIFAR-10 for Python: {error}.") from error
    return Images(np.concatenate(pixels), np.concatenate(labels))


def _read_svhn(split: str, files: list[bytes]) -> Images:  # noqa: ARG001 (the file tells)
    """Return the images of a .mat file with X (32, 32, 3, n) and y (n, 1), the digit zero as 10."""
    try:
        content = loadmat(io.BytesIO(files[0]), variable_names=["X", "y"])
        X, y = content["X"], content["y"]
    except Exception as error:  # a damaged file can raise anything
        raise FileFormatError(f"it must be a .mat file with the variables X and y: {error}.") from error
    if X.dtype != np.uint8 or X.ndim != 4 or X.shape[:3] != (32, 32, 3):
        raise FileFormatError(f"X must be uint8 (32, 32, 3, n), got {X.dtype} {X.shape}.")
    if y.size != len(y) or y.dtype.kind not in "iu" or not len(y) or y.min() < 1 or y.max() > 10:
        raise FileFormatError(f"y must be integers from 1 to 10, (n, 1), got {y.dtype} {y.shape}: {y.ravel()[:5]}.")
    return Images(np.ascontiguousarray(X.transpose(3, 2, 0, 1)), y.ravel().astype(np.int64) % 10)


# --- what is published


def _idx_dataset(name: str, url: str, digests: Mapping[str, tuple[str, str]]) -> Published:
    files = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        names = f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"
        files[split] = tuple(
            PublishedFile(file, f"{url}/{file}", f"sha256:{digest}")
            for file, digest in zip(names, digests[split], strict=True)
        )
    return Published(name, files, _read_idx_pair)


_CIFAR10 = PublishedFile(
    "cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "md5:c58f30108f718f92721af3b95e74349a",
)
_SVHN_URL = "http://ufldl.stanford.edu/housenumbers"

DATASETS = {
    "mnist": _idx_dataset(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "train": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            "test": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        },
    ),
    "fashion-mnist": _idx_dataset(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            "train": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            "test": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        },
    ),
    "cifar10": Published("cifar10", {"train": (_CIFAR10,), "test": (_CIFAR10,)}, _read_cifar10),
    "svhn": Published(
        "svhn",
        {
            "train": (
                PublishedFile(
                    "train_32x32.mat", f"{_SVHN_URL}/train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373"
                ),
            ),
            "test": (
                PublishedFile("test_32x32.mat", f"{_SVHN_URL}/test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3"),
            ),
        },
        _read_svhn,
    ),
}
