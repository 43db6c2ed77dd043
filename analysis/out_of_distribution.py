"""Do flips to the nearest region with training data tell what is out of distribution? LR section 7.1, observation (b).

Networks trained as in section 7.1 on MNIST, with and without skips; Fashion-MNIST is what they should find strange, and
the reverse. Scores: flips (facets on a shortest path of regions) to the nearest region that holds a training image, the
Hamming distance to the nearest pattern of a training image, and 1 - max softmax. Beside them two moons in the plane.

All on a box around all images, in the directions that the network reads. Networks of 8 neurons per layer are enumerated
there, so their flips are exact; larger ones are searched, in general position (see `tropnet.FlipDistance`), and a few
points again without that assumption.

    python -m analysis.out_of_distribution --quick
    python -m analysis.out_of_distribution
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import nn

import tropnet as tn
from analysis import datasets, study
from analysis import out_of_distribution_figures as figures
from tropnet.progress import track

NAME = "out_of_distribution"
SCORES = ("flips", "hamming", "softmax")
SHAPES = (
    (4, 8, ()),
    (4, 8, ((1, 3), (2, 4))),
    (3, 16, ()),
    (3, 16, ((1, 3),)),
    (3, 32, ()),
    (3, 32, ((1, 3),)),
)
MOON_SHAPES = ((3, 16, ()), (3, 16, ((1, 3),)))
_ENUMERATED_WIDTH = 8
_MOON_HALF_WIDTH = 4.0
_GRID = np.linspace(0, 1, 101)

Floats = NDArray[np.float64]
Skips = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Recipe:
    """How networks are trained and scored.

    Attributes
    ----------
    epochs, batch, learning_rate
        Of Adam on the images: the paper's; it states no batch; 100 comes near its caching rates on MNIST with 3 x 32.
    n_train
        Training images; None takes all.
    n_points
        Images of each test set, drawn at random, that are scored by the search (enumerated networks score all).
    n_proven
        How many of these are scored again without assuming general position, of each test set.
    max_regions, max_regions_proven
        Regions that the search may look at around a point, with and without that assumption.
    moon_points, moon_epochs
        Points of the moons to train on, and as many of each kind to score; epochs of Adam at rate 0.01.
    """

    epochs: int = 5
    batch: int = 100
    learning_rate: float = 5e-4
    n_train: int | None = None
    n_points: int = 500
    n_proven: int = 10
    max_regions: int = 100
    max_regions_proven: int = 30
    moon_points: int = 1000
    moon_epochs: int = 50


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        Of every network.
    shapes
        Hidden layers, neurons per layer and skips of the networks on images; as in LR Table 2.
    seeds, reverse_seeds, moon_seeds
        Networks of each shape: on MNIST, on Fashion-MNIST, on the moons.
    """

    recipe: Recipe = field(default_factory=Recipe)
    shapes: tuple[tuple[int, int, Skips], ...] = SHAPES
    seeds: int = 5
    reverse_seeds: int = 2
    moon_seeds: int = 10


@dataclass(frozen=True)
class Block:
    """One network: what it is trained on, what is strange to it, its shape, its seed."""

    inside: str
    outside: str
    layers: int
    width: int
    skips: Skips
    seed: int
    recipe: Recipe


def blocks(config: Config) -> list[Block]:
    """Return all networks: moons, MNIST, the reverse; seed by seed, so that a stopped run has whole seeds."""
    pairs = (("mnist", "fashion-mnist", config.seeds), ("fashion-mnist", "mnist", config.reverse_seeds))
    designs = [("moons", "uniform", config.moon_seeds, MOON_SHAPES), *((*pair, config.shapes) for pair in pairs)]
    return [
        Block(inside, outside, *shape, seed, config.recipe)
        for inside, outside, seeds, shapes in designs
        for seed in range(seeds)
        for shape in shapes
    ]


# --- networks


def train(inputs: Floats, labels: NDArray[np.int64], block: Block, *, epochs: int, rate: float) -> tn.Network:
    """Train a network by Adam on the cross-entropy; seeded, on the CPU."""
    widths = [inputs.shape[1], *[block.width] * block.layers, int(labels.max()) + 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(block.seed)
        model = tn.SkipMLP(widths, skips=block.skips)
    x, y = torch.from_numpy(inputs).float(), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    order = torch.Generator().manual_seed(block.seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(block.recipe.batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    return tn.from_torch(model, (inputs.shape[1],))


def reduced(net: tn.Network) -> tuple[tn.Network, Floats, tn.Box]:
    """Return a network of images on the few directions that it reads: itself, the basis, a box around all images.

    The first layer reads x through its weights only, so on an orthonormal basis Q of their span it is a network of
    u = Q'x, equal up to rounding. The box holds Q'x for all x in [0, 1]^d.
    """
    basis = np.linalg.qr(net.layers[0].weights[0].T)[0]
    low, high = np.minimum(basis, 0).sum(axis=0), np.maximum(basis, 0).sum(axis=0)
    # A little wider than rounding.
    margin = 1e-9 * (high - low)
    return net.restrict(np.zeros(net.n_inputs), basis.T), basis, tn.Box(low - margin, high + margin)


@lru_cache(maxsize=4)
def images(name: str, split: str, n: int | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Return the first n images as rows in [0, 1], and their labels."""
    found = datasets.load(name, split, progress=False)
    return found.pixels[:n].reshape(len(found.pixels[:n]), -1) / 255, found.labels[:n].astype(np.int64)


def moons(n: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Return n points on two interleaved half circles, with noise of 0.1, and which of the two they are on."""
    labels = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.where(labels[:, None] == 1, [1.0, 0.5] - upper, upper)
    return points + rng.normal(scale=0.1, size=(n, 2)), labels


# --- scores


def auroc(inside: NDArray[Any], outside: NDArray[Any]) -> float:
    """Return P(a score outside > one inside) + P(equal) / 2: Mann-Whitney's U over the number of pairs.

    Examples
    --------
    >>> auroc(np.array([0, 0, 1]), np.array([1, 2]))
    0.9166666666666666
    """
    U = stats.mannwhitneyu(outside, inside, method="asymptotic").statistic
    return float(U / (len(inside) * len(outside)))


def strangeness(net: tn.Network, x: Floats) -> Floats:
    """Return 1 - max softmax of the outputs, float64 of shape (n,), as 1 - 1 / (sum of exp(z - max z))."""
    z = net(x)
    rest = np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1) - 1
    return np.asarray(rest / (1 + rest))


def score(block: Block) -> dict[str, Any]:
    """Train a network and score both test sets; see `images_block` and `moons_block`."""
    return moons_block(block) if block.inside == "moons" else images_block(block)


def images_block(block: Block) -> dict[str, Any]:
    """Train on images; score the test sets, all of them if the network can be enumerated, else a sample."""
    recipe = block.recipe
    x, y = images(block.inside, "train", recipe.n_train)
    net = train(x, y, block, epochs=recipe.epochs, rate=recipe.learning_rate)
    test, labels = images(block.inside, "test")
    strange = images(block.outside, "test")[0]
    small, basis, box = reduced(net)
    differing = int((net.activation_pattern(test) != small.activation_pattern(test @ basis)).sum())
    every = [{"softmax": strangeness(net, part)} for part in (test, strange)]
    record = {"accuracy": float((net(test).argmax(axis=1) == labels).mean()), "n_differing_bits": differing}
    rng = np.random.default_rng(block.seed)
    seconds: dict[str, float] = {}
    if block.width <= _ENUMERATED_WIDTH:
        regions = timed(seconds, "enumerate", lambda: tn.enumerate_regions(small, box, facets=True))
        flips = timed(seconds, "graph", lambda: tn.FlipDistance(regions, x @ basis))
        chosen = [np.arange(len(part)) for part in (test, strange)]
        record["n_regions"] = len(regions)
    else:
        flips = tn.FlipDistance(small, x @ basis, box, max_regions=recipe.max_regions, general_position=True)
        size = min(recipe.n_points, len(test), len(strange))
        chosen = [np.sort(rng.choice(len(part), size, replace=False)) for part in (test, strange)]
        record["n_regions"] = None
    parts = [part @ basis for part in (test, strange)]
    for own, part in zip(every, parts, strict=True):
        own["hamming"] = timed(seconds, "hamming", lambda part=part: flips.hamming(part))
    found = []
    for own, part, some in zip(every, parts, chosen, strict=True):
        bounds = timed(seconds, "flips", lambda part=part, some=some: flips(part[some]))
        found.append({"flips": bounds.upper, "exact": bounds.exact} | {name: own[name][some] for name in own})
    record |= compare(*found) | {"n_data_regions": len(flips.packed), "seconds": seconds}
    record["all"] = {name: auroc(every[0][name], every[1][name]) for name in ("hamming", "softmax")}
    record["n_all"] = [len(test), len(strange)]
    if record["n_regions"] is None:
        some = [part[own][: recipe.n_proven] for part, own in zip(parts, chosen, strict=True)]
        record["proven"] = proven(flips, x @ basis, some, found, recipe.max_regions_proven)
    return record


def proven(
    assumed: tn.FlipDistance, data: Floats, parts: list[Floats], found: list[dict[str, Any]], max_regions: int
) -> dict[str, Any]:
    """Score a few points again without assuming general position: how many are exact then, and how many agree."""
    flips = tn.FlipDistance(assumed.network, data, assumed.domain, max_regions=max_regions)
    record = {}
    for side, part, own in zip(("inside", "outside"), parts, found, strict=True):
        bounds = flips(part)
        record[side] = {
            "n": len(part),
            "exact": float(bounds.exact.mean()),
            "same_path": float((bounds.upper == own["flips"][: len(part)]).mean()),
            "lower": float(bounds.lower.mean()),
            "upper": float(bounds.upper.mean()),
        }
    return record


def moons_block(block: Block) -> dict[str, Any]:
    """Train on the moons; enumerate the square around them; score moons and points all over the square, exactly."""
    recipe = block.recipe
    rng = np.random.default_rng(block.seed)
    x, y = moons(recipe.moon_points, rng)
    net = train(x, y, block, epochs=recipe.moon_epochs, rate=0.01)
    test, labels = moons(recipe.moon_points, rng)
    strange = rng.uniform(-_MOON_HALF_WIDTH, _MOON_HALF_WIDTH, (recipe.moon_points, 2))
    regions = tn.enumerate_regions(net, tn.Box(-_MOON_HALF_WIDTH, _MOON_HALF_WIDTH), facets=True)
    flips = tn.FlipDistance(regions, x)
    found = []
    for part in (test, strange):
        bounds = flips(part)
        scores = {"flips": bounds.upper, "exact": bounds.exact}
        found.append(scores | {"hamming": flips.hamming(part), "softmax": strangeness(net, part)})
    record = {
        "accuracy": float((net(test).argmax(axis=1) == labels).mean()),
        "n_regions": len(regions),
        "n_data_regions": len(flips.packed),
    } | compare(*found)
    if block.seed == 0:
        vertices, offsets = regions.vertices()
        record["map"] = {
            "polygons": [ring(part) for part in np.split(np.round(vertices, 4), offsets[1:-1])],
            "flips": flips(regions.witnesses).upper.tolist(),
            "data": np.round(x, 3).tolist(),
        }
    return record


def ring(vertices: Floats) -> list[list[float]]:
    """Return the vertices of a polygon in the order of their angle around its middle."""
    middle = vertices - vertices.mean(axis=0)
    return vertices[np.argsort(np.arctan2(middle[:, 1], middle[:, 0]))].tolist()


def compare(inside: dict[str, Any], outside: dict[str, Any]) -> dict[str, Any]:
    """Compare the scores of points inside and outside: AUROC, counts, how often flips equal the Hamming distance."""
    both = {name: np.concatenate([inside[name], outside[name]]) for name in inside}
    cut = np.quantile(inside["softmax"], 1 - _GRID)
    return {
        "n_points": [len(inside["flips"]), len(outside["flips"])],
        "auroc": {name: auroc(inside[name], outside[name]) for name in SCORES},
        "exact": float(both["exact"].mean()),
        "equal": float((both["flips"] == both["hamming"]).mean()),
        "fewer": float((both["flips"] < both["hamming"]).mean()),
        "flips": {"inside": np.bincount(inside["flips"]).tolist(), "outside": np.bincount(outside["flips"]).tolist()},
        "softmax_true_positive": [float((outside["softmax"] >= value).mean()) for value in cut],
    }


def timed(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Return the result of some work, and add the processor seconds it took to an entry."""
    begin = time.process_time()
    result = work()
    seconds[name] = round(seconds.get(name, 0.0) + time.process_time() - begin, 3)
    return result


# --- the study


def run(config: Config, cache: Path) -> dict[str, Any]:
    """Train and score what is missing in the cache, network by network, and return the results."""
    cache.mkdir(parents=True, exist_ok=True)
    todo = blocks(config)
    records = {}
    with track("training and scoring", "networks", enabled=True) as update:
        for n, block in enumerate(todo, start=1):
            path = cache / f"{study.block_key(score, block)}.json"
            if not path.exists():
                study.write_json(path, score(block))
                print(f"{block.inside}, {shape_of(block)}, seed {block.seed}: done", flush=True)
            records[block] = json.loads(path.read_text())
            update(n, n / len(todo))
    return summarise(records)


def summarise(records: dict[Block, dict[str, Any]]) -> dict[str, Any]:
    """Return one row for each kind of network, means and 95 % t-intervals over the seeds, and the map of the moons."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for block, record in records.items():
        groups.setdefault((block.inside, block.outside, shape_of(block)), []).append(record)
    rows = [row(*key, own) for key, own in groups.items()]
    maps = [record["map"] for record in records.values() if "map" in record]
    not_run = [
        "training on CIFAR-10 and SVHN, whose caching rates section 7.1 reports too",
        "flips of searched networks outside the samples of test images; other scores are on all (all_test_images)",
    ]
    return {"rows": rows, "moons": maps[0] if maps else None, "not_run": not_run}


def shape_of(block: Block) -> str:
    """Return the shape of a network in words."""
    skips = ", ".join(f"{k}-{target}" for k, target in block.skips)
    return f"{block.layers} x {block.width}" + (f", skips {skips}" if skips else "")


def row(inside: str, outside: str, shape: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the networks of one kind."""
    first = records[0]
    values = {name: [record["auroc"][name] for record in records] for name in SCORES}
    found = {
        "inside": inside,
        "outside": outside,
        "shape": shape,
        "networks": len(records),
        "n_points": first["n_points"],
        "enumerated": first["n_regions"] is not None,
        "accuracy": mean(record["accuracy"] for record in records),
        "n_regions": [record["n_regions"] for record in records],
        "n_data_regions": [record["n_data_regions"] for record in records],
        "cached": {
            side: mean(record["flips"][side][0] / record["n_points"][k] for record in records)
            for k, side in enumerate(("inside", "outside"))
        },
        "auroc": {name: interval(own) for name, own in values.items()},
        "difference": {name: interval(np.subtract(values["flips"], values[name])) for name in ("hamming", "softmax")},
        "auroc_of_each": values,
        "exact": mean(record["exact"] for record in records),
        "equal_to_hamming": mean(record["equal"] for record in records),
        "fewer_than_hamming": mean(record["fewer"] for record in records),
        "flips": {side: shares([record["flips"][side] for record in records]) for side in ("inside", "outside")},
        "softmax_true_positive": np.mean([record["softmax_true_positive"] for record in records], axis=0)
        .round(4)
        .tolist(),
    }
    if "all" in first:
        found["all_test_images"] = {name: interval([r["all"][name] for r in records]) for name in first["all"]}
        found["n_differing_bits"] = max(record["n_differing_bits"] for record in records)
        found["seconds"] = {name: mean(r["seconds"][name] for r in records) for name in first["seconds"]}
    if "proven" in first:
        found["proven"] = {
            side: {key: mean(r["proven"][side][key] for r in records) for key in first["proven"][side]}
            for side in first["proven"]
        }
    return found


def mean(values: Iterable[float]) -> float:
    """Return the mean, to six digits."""
    return round(float(np.mean(list(values))), 6)


def interval(values: Any) -> dict[str, float | None]:
    """Return mean and 95 % interval over networks, by Student's t; no interval for one network."""
    values = np.asarray(values)
    if len(values) < 2:
        return {"mean": mean(values), "low": None, "high": None}
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return {"mean": mean(values), "low": mean([values.mean() - half]), "high": mean([values.mean() + half])}


def shares(counts: list[list[int]]) -> list[float]:
    """Return which share of all points has 0, 1, 2, ... flips."""
    total = np.zeros(max(map(len, counts)))
    for own in counts:
        total[: len(own)] += own
    return (total / total.sum()).round(6).tolist()


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/out_of_distribution.json`, draw the figure from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=Config.seeds, help="networks of each kind (default: %(default)s)")
    parser.add_argument(
        "--reverse-seeds",
        type=int,
        default=Config.reverse_seeds,
        help="trained on Fashion-MNIST (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of PyTorch (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with the data (default: TROPNET_DATA, else fetched)")
    parser.add_argument("--quick", action="store_true", help="one network of each kind, few images")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.data:
        os.environ["TROPNET_DATA"] = str(options.data)
    config = Config(seeds=options.seeds, reverse_seeds=options.reverse_seeds)
    if options.quick:
        recipe = Recipe(
            epochs=1,
            n_train=300,
            n_points=10,
            n_proven=2,
            max_regions=10,
            max_regions_proven=3,
            moon_points=60,
            moon_epochs=3,
        )
        config = Config(recipe, ((2, 4, ()), (2, 12, ((1, 3),))), seeds=1, reverse_seeds=1, moon_seeds=2)
    results = run(config, options.out / "results" / ".cache" / NAME)
    path = options.out / "results" / f"{NAME}.json"
    record = study.provenance(config)
    record["versions"]["torch"] = torch.__version__
    study.write_json(path, {**record, **results})
    figures.draw(path, options.out / "paper_figures")
    print(summary(results))


def summary(results: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for own in results["rows"]:
        found = ", ".join(f"{name} {own['auroc'][name]['mean']:.3f}" for name in SCORES)
        lines.append(
            f"{own['inside']} against {own['outside']}, {own['shape']}: AUROC {found};"
            f" {own['exact']:.1%} exact, {own['equal_to_hamming']:.1%} equal to the Hamming distance"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
