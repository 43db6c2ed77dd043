"""Data sets as gray pixels in rows, which is what a network without convolutions reads."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.shared import datasets
from tropnet.errors import FileFormatError

__all__ = ["GRAY_CIFAR10", "GrayImages", "load_gray"]

_N_CLASSES = 10
# CIFAR-10 that is gray already: x_train, x_test (n, 32, 32) and y_train, y_test (n,), all uint8, in the original order.
GRAY_CIFAR10 = "cifar10_gray.npz"


@dataclass(frozen=True)
class GrayImages:
    """Images as rows of pixels, and what they show.

    Attributes
    ----------
    pixels
        uint8, shape (n, height * width).
    labels
        int64, shape (n,): the classes 0 to 9.
    source
        Where they come from, in words.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """Return a SHA-256 of pixels and labels."""
        found = hashlib.sha256(str(self.pixels.shape).encode())
        found.update(np.ascontiguousarray(self.pixels))
        found.update(np.ascontiguousarray(self.labels))
        return found.hexdigest()

    def first(self, n: int | None) -> GrayImages:
        """Return the first `n` images, or all of them for None."""
        return GrayImages(self.pixels[:n], self.labels[:n], self.source)

    def scaled(self) -> NDArray[np.float32]:
        """Return the pixels in [0, 1], float32, shape (n, height * width)."""
        return self.pixels.astype(np.float32) / np.float32(255)


def load_gray(dataset: str, split: str, folder: str | os.PathLike[str] | None = None) -> GrayImages:
    """Return one part of a data set in gray: colours become their luma, as `datasets.grayscale` has it.

    A folder (given, or named by TROPNET_DATA) without the published archive of CIFAR-10 may hold `cifar10_gray.npz`
    instead. Nobody publishes that file, so there is no digest to check; `source` carries the one it has.

    Raises
    ------
    As `analysis.shared.datasets.load`: FileNotFoundError or another OSError where the data is not to be had.
    """
    gray = _gray_archive(dataset, folder)
    if gray is not None:
        return _read_gray_archive(gray, split)
    images = datasets.load(dataset, split, folder=folder)
    pixels = datasets.grayscale(images.pixels) if images.pixels.shape[1] == 3 else images.pixels
    return GrayImages(pixels.reshape(len(images), -1), images.labels, "the published files")


def _gray_archive(dataset: str, folder: str | os.PathLike[str] | None) -> Path | None:
    folder = folder or os.environ.get(datasets.FOLDER_VARIABLE)
    if dataset != "cifar10" or not folder:
        return None
    places = [Path(folder) / dataset, Path(folder)]
    published = datasets.DATASETS[dataset].files["train"][0].name
    if any((place / published).is_file() for place in places):
        return None
    return next((place / GRAY_CIFAR10 for place in places if (place / GRAY_CIFAR10).is_file()), None)


def _read_gray_archive(path: Path, split: str) -> GrayImages:
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            pixels, labels = archive[f"x_{split}"], archive[f"y_{split}"]
    except Exception as error:  # a damaged archive can raise anything
        raise FileFormatError(f"{path} must be an archive with x_{split} and y_{split}: {error}.") from error
    if labels.dtype.kind not in "iu" or not np.isin(labels, range(_N_CLASSES)).all():
        raise FileFormatError(
            f"{path}: y_{split} must be whole numbers from 0 to {_N_CLASSES - 1}, got {labels.dtype}, among them"
            f" {np.unique(labels)[[0, -1]].tolist()}."
        )
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 32, 32):
        raise FileFormatError(
            f"{path}: x_{split} must be uint8 ({len(labels)}, 32, 32), one image per label, got {pixels.dtype}"
            f" {pixels.shape}."
        )
    source = f"{GRAY_CIFAR10}, sha256 {hashlib.sha256(data).hexdigest()}"
    return GrayImages(pixels.reshape(len(labels), -1), labels.astype(np.int64), source)
