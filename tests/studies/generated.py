"""Generated images that a network can tell apart, in the published formats of the data sets."""

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import torch

from analysis.shared import datasets
from analysis.shared.gray_images import GRAY_CIFAR10
from analysis.shared.mnist import Data

N_TRAIN, N_TEST = 300, 100


def stripes(n, size=28, seed=0):
    """Return n images, uint8 (n, size, size): noise, brighter in a stripe that tells the label; and the labels."""
    labels = np.arange(n) % 10
    pixels = np.random.default_rng([seed, n, size]).integers(0, 60, (n, size, size))
    for image, label in zip(pixels, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6] += 150
    return pixels.astype(np.uint8), labels


def digits(n, seed=0):
    """Return such images as tensors."""
    pixels, labels = stripes(n, 28, seed)
    return Data(torch.from_numpy(pixels[:, None]).float() / 255, torch.from_numpy(labels))


def idx(array):
    """Return an IDX file of bytes, gzipped."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def published(name, contents, url=None):
    """Return a data set whose files have these contents, by part; their digests count as the published ones."""
    dataset = datasets.DATASETS[name]
    files = {}
    for split, originals in dataset.files.items():
        files[split] = tuple(
            replace(
                file,
                digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
                url=file.url if url is None else f"{url}/{file.name}",
            )
            for file, content in zip(originals, contents[split], strict=True)
        )
    return replace(dataset, files=files)


def write(folder, dataset, contents, split="test"):
    """Write the files of one part of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in zip(dataset.files[split], contents, strict=True):
        (folder / file.name).write_bytes(content)


def write_all(root):
    """Write MNIST and Fashion-MNIST as published, and gray CIFAR-10; return the first two, as `published` does."""
    sizes, found = {"train": N_TRAIN, "test": N_TEST}, {}
    for seed, name in enumerate(("mnist", "fashion-mnist")):
        contents = {split: [idx(array) for array in stripes(n, 28, seed)] for split, n in sizes.items()}
        found[name] = published(name, contents)
        for split in sizes:
            write(root / name, found[name], contents[split], split)
    arrays = {}
    for split, n in sizes.items():
        pixels, labels = stripes(n, 32, 2)
        arrays |= {f"x_{split}": pixels, f"y_{split}": labels.astype(np.uint8)}
    np.savez(root / GRAY_CIFAR10, **arrays)
    return found


class FirstTwoAxes:
    """Stands in for UMAP, which takes a minute to compile."""

    made = 0

    def __init__(self, **options):
        assert options["random_state"] is not None
        assert options["n_jobs"] == 1

    def fit_transform(self, points):
        FirstTwoAxes.made += 1
        return points[:, [100, 300]] + points[:, [101, 301]]
