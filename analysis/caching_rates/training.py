"""Training all networks of an arm at once, and finding which test images fall into regions of training images."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

import tropnet as tn
from analysis.shared.gray_images import GrayImages
from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.arrays.patterns import pack
from tropnet.errors import NonFiniteError
from tropnet.progress import Update, track

__all__ = ["Arm", "Findings", "cached_points", "freeze", "initial", "outputs", "resume", "stored", "train"]

N_CLASSES = 10
_KIND, _VERSION = "caching rates of an arm", 1

# A layer of all networks: weights (networks, n_in, n_out) and biases (networks, 1, n_out).
Parameters = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Arm:
    """Networks of one shape, trained one way, that differ by their random numbers only.

    Attributes
    ----------
    dataset
        As `gray_images.load_gray` names it.
    layers, neurons
        Shape: `layers` hidden layers of `neurons`.
    skips
        Pairs (k, l).
    networks
        How many.
    batch, epochs, learning_rate
        Of Adam on the cross-entropy. Every network goes through the images in an order of its own.
    centred
        Whether pixels are in [-1, 1] instead of [0, 1].
    seed
        Root of the seeds; every arm has its own numbers.
    device
        As PyTorch names it.
    """

    dataset: str
    layers: int
    neurons: int
    skips: tuple[tuple[int, int], ...] = ()
    networks: int = 50
    batch: int = 100
    epochs: int = 5
    learning_rate: float = 5e-4
    centred: bool = False
    seed: int = 20_250_915
    device: str = "cpu"

    @property
    def random_seed(self) -> int:
        """The seed of this arm: the same on every device and for both ranges of pixels, another for other arms."""
        content = asdict(replace(self, device=""))
        del content["centred"]
        return int(_hash(content)[:15], 16)


@dataclass(frozen=True)
class Findings:
    """What the networks of an arm do on the test images.

    Attributes
    ----------
    cached
        bool (networks, n_test): whether a training image has the same activation pattern.
    predicted
        uint8 (networks, n_test): the class of the largest output.
    n_regions
        int64 (networks,): activation regions that hold training images.
    seconds
        Of training and of finding the patterns.
    """

    cached: NDArray[np.bool_]
    predicted: NDArray[np.uint8]
    n_regions: NDArray[np.int64]
    seconds: float


# --- the ensemble


def initial(arm: Arm, n_inputs: int, generator: torch.Generator) -> Parameters:
    """Return random parameters: uniform in +-1/sqrt(n_in), the default of `torch.nn.Linear`, float32."""
    widths = [n_inputs, *[arm.neurons] * arm.layers, N_CLASSES]

    def drawn(rows: int, fan_in: int, fan_out: int) -> Tensor:
        uniform = torch.rand((arm.networks, rows, fan_out), generator=generator)
        return ((2 * uniform - 1) / math.sqrt(fan_in)).to(arm.device)

    return [(drawn(n_in, n_in, n_out), drawn(1, n_in, n_out)) for n_in, n_out in pairwise(widths)]


def outputs(parameters: Parameters, skips: Iterable[tuple[int, int]], x: Tensor) -> Tensor:
    """Return the outputs (networks, n, n_outputs) of every network on its own points x (networks, n, n_inputs)."""
    values = [x]
    for index, (weight, bias) in enumerate(parameters, start=1):
        signal = values[-1]
        for source, target in skips:
            if target == index:
                signal = signal + values[source]
        z = torch.baddbmm(bias, signal, weight)
        values.append(functional.relu(z) if index < len(parameters) else z)
    return values[-1]


def freeze(parameters: Parameters, skips: Iterable[tuple[int, int]]) -> list[tn.Network]:
    """Return each network of an ensemble as a `tropnet.Network`, with the same weights, in float64."""
    arrays = [(weight.detach().cpu().numpy(), bias.detach().cpu().numpy()) for weight, bias in parameters]
    skips = tuple(skips)
    return [
        tn.Network.mlp([weight[i].T for weight, _ in arrays], [bias[i, 0] for _, bias in arrays], skips)
        for i in range(len(arrays[0][0]))
    ]


def train(arm: Arm, images: GrayImages, update: Update) -> Parameters:
    """Train every network of an arm, each from its own weights and through its own order of the images.

    The steps are those of separate networks: the losses are added, so no gradient mixes them, and Adam works entry by
    entry.

    Raises
    ------
    NonFiniteError
        A loss is NaN or infinite.
    """
    generator = torch.Generator().manual_seed(arm.random_seed)
    parameters = initial(arm, images.pixels.shape[1], generator)
    flat = [tensor.requires_grad_() for layer in parameters for tensor in layer]
    optimiser = torch.optim.Adam(flat, lr=arm.learning_rate, fused=True)
    pixels = torch.from_numpy(images.pixels).to(arm.device)
    labels = torch.from_numpy(images.labels).to(arm.device)
    for epoch in range(arm.epochs):
        order = torch.rand((arm.networks, len(images)), generator=generator).argsort(dim=1).to(arm.device)
        batches = order.split(arm.batch, dim=1)
        for step, rows in enumerate(batches):
            chosen = rows.reshape(-1)
            x = pixels.index_select(0, chosen).float().div_(255).view(*rows.shape, -1)
            if arm.centred:
                x.mul_(2).sub_(1)
            logits = outputs(parameters, arm.skips, x).flatten(0, 1)
            loss = functional.cross_entropy(logits, labels[chosen], reduction="sum") / rows.shape[1]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            update(step, (epoch + (step + 1) / len(batches)) / arm.epochs)
        if not math.isfinite(float(loss.detach())):
            raise NonFiniteError(
                f"the losses of {describe(arm)} must be finite, got {float(loss.detach())} in epoch {epoch + 1}."
                f" Lower the learning rate, now {arm.learning_rate}."
            )
    return parameters


# --- the patterns


def cached_points(
    net: tn.Network, train_points: NDArray[np.float64], test_points: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], int]:
    """Return which test points share an activation pattern with a training point, and how many the latter have."""
    known = set(_keys(net, train_points))
    return np.array([key in known for key in _keys(net, test_points)], dtype=np.bool_), len(known)


def _keys(net: tn.Network, points: NDArray[np.float64]) -> list[bytes]:
    packed = pack(net.activation_pattern(points))
    keys: list[bytes] = packed.view(f"V{packed.shape[1]}").ravel().tolist()
    return keys


def find(arm: Arm, images: GrayImages, test: GrayImages) -> Findings:
    """Train an arm, freeze it and look at every network's patterns, which float64 decides."""
    begin = time.perf_counter()
    with track(f"training {describe(arm)}", "steps", enabled=True) as update:
        networks = freeze(train(arm, images, update), arm.skips)
    # The float32 numbers that the networks were trained on.
    train_points, test_points = (_points(arm, part) for part in (images, test))
    cached, predicted, n_regions = [], [], []
    with track(f"patterns of {describe(arm)}", "networks", enabled=True) as update:
        for done, net in enumerate(networks, start=1):
            flags, n_patterns = cached_points(net, train_points, test_points)
            cached.append(flags)
            n_regions.append(n_patterns)
            predicted.append(net(test_points).argmax(axis=1).astype(np.uint8))
            update(done, done / len(networks))
    return Findings(np.array(cached), np.array(predicted), np.array(n_regions), time.perf_counter() - begin)


def _points(arm: Arm, images: GrayImages) -> NDArray[np.float64]:
    scaled = images.scaled()
    return (2 * scaled - 1 if arm.centred else scaled).astype(np.float64)


# --- files


def resume(arm: Arm, images: GrayImages, test: GrayImages, cache: Path) -> Findings:
    """Return what `find` does, from the file of an earlier run if there is one; else write that file, atomically.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    found = stored(arm, images, test, cache)
    if found is None:
        found = find(arm, images, test)
        cache.mkdir(parents=True, exist_ok=True)
        arrays = {
            "cached": np.packbits(found.cached, axis=1),
            "predicted": found.predicted,
            "n_regions": found.n_regions,
            "seconds": np.array(found.seconds),
        }
        data = archive_bytes(_KIND, _VERSION, arrays)
        write_atomically(_path(arm, images, test, cache), lambda file: file.write(data))
        mean = found.cached.sum(axis=1).mean()
        print(f"{describe(arm)}: {mean:.1f} cached of {len(test)}; {found.seconds:.0f} s", flush=True)
    return found


def stored(arm: Arm, images: GrayImages, test: GrayImages, cache: Path) -> Findings | None:
    """Return what an earlier run found, or None if none did.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    path = _path(arm, images, test, cache)
    if not path.exists():
        return None
    arrays = read_archive(path, _KIND, _VERSION)
    cached = np.unpackbits(arrays["cached"], axis=1, count=len(test)).astype(np.bool_)
    return Findings(cached, arrays["predicted"], arrays["n_regions"], float(arrays["seconds"]))


def _path(arm: Arm, images: GrayImages, test: GrayImages, cache: Path) -> Path:
    return cache / f"{_hash([asdict(arm), images.digest(), test.digest()])[:24]}.npz"


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def describe(arm: Arm) -> str:
    """Return an arm in words.

    Examples
    --------
    >>> describe(Arm("mnist", 3, 32, ((1, 3),)))
    'mnist, 3 x 32, skips 1-3, batch 100'
    """
    skips = ", ".join(f"{source}-{target}" for source, target in arm.skips)
    shape = f"{arm.layers} x {arm.neurons}"
    pixels = ", centred" if arm.centred else ""
    return f"{arm.dataset}, {shape}, {f'skips {skips}' if skips else 'no skips'}, batch {arm.batch}{pixels}"
