"""Train and score network by network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tropnet as tn
from analysis.out_of_distribution.config import Config
from analysis.out_of_distribution.evaluate import compare, summarise
from analysis.out_of_distribution.networks import Block, Floats, blocks, images, moons, reduced, shape_of, train
from analysis.shared.blocks import block_key, kept
from analysis.shared.main import Job
from analysis.shared.statistics import superiority
from tropnet.progress import track

_ENUMERATED_WIDTH = 8
_MOON_HALF_WIDTH = 4.0


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train and score what is missing in the cache, network by network, and return the results."""
    todo = blocks(config)
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    with track("training and scoring", "networks", enabled=True) as update:
        for n, block in enumerate(todo, start=1):
            path = job.cache / f"{block_key(score, block)}.json"
            done = path.exists()
            record = kept(path, lambda block=block: score(block, job.data))
            if not done:
                print(f"{block.inside}, {shape_of(block)}, seed {block.seed}: done", flush=True)
            groups.setdefault((block.inside, block.outside, shape_of(block)), []).append(record)
            update(n, n / len(todo))
    return summarise(groups)


# --- scores


def strangeness(net: tn.Network, x: Floats) -> Floats:
    """Return 1 - max softmax of the outputs, float64 of shape (n,), as 1 - 1 / (sum of exp(z - max z))."""
    z = net(x)
    rest = np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1) - 1
    return np.asarray(rest / (1 + rest))


def score(block: Block, folder: Path | None) -> dict[str, Any]:
    """Train a network and score both test sets; see `images_block` and `moons_block`."""
    return moons_block(block) if block.inside == "moons" else images_block(block, folder)


def images_block(block: Block, folder: Path | None) -> dict[str, Any]:
    """Train on images; score the test sets, all of them if the network can be enumerated, else a sample."""
    recipe = block.recipe
    x, y = images(block.inside, "train", recipe.n_train, folder)
    net = train(x, y, block, epochs=recipe.epochs, rate=recipe.learning_rate)
    test, labels = images(block.inside, "test", folder=folder)
    strange = images(block.outside, "test", folder=folder)[0]
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
    record["all"] = {name: superiority(every[1][name], every[0][name]) for name in ("hamming", "softmax")}
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


def timed(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Return the result of some work, and add the processor seconds it took to an entry."""
    begin = time.process_time()
    result = work()
    seconds[name] = round(seconds.get(name, 0.0) + time.process_time() - begin, 3)
    return result
