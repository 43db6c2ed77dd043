"""Count everything, part by part; a stopped run goes on with the first part that is missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tropnet as tn
from analysis.published_counts import arrangements, facets, growth, maxout
from analysis.published_counts.config import CNNS, Config
from analysis.published_counts.evaluate import claims, facets_by_size, growth_by_shape
from analysis.shared.blocks import block_key, kept
from analysis.shared.main import Job
from tropnet.progress import track

TWO_LAYERS = ((1, 4, 1), (1, 2), 1, (2, 3))


@dataclass(frozen=True)
class Part:
    """What a part is a function of."""

    arguments: tuple[Any, ...]


def run(config: Config, job: Job) -> dict[str, Any]:
    """Count what is missing in the cache, and return all counts and what they say about the printed ones."""
    parts: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
        *(("resonance", whole_resonance, (d,)) for d in range(1, config.resonance_whole + 1)),
        *(("resonance_by_symmetry", arrangements.resonance_by_symmetry, (d,)) for d in range(3, config.resonance + 1)),
        *(("shi_threshold", whole_shi_threshold, (n,)) for n in range(2, config.shi_threshold + 1)),
        *(
            ("cnn", one_layer, (size, kernel, stride, n, config.cnn_seeds))
            for size, kernel, stride, numbers in CNNS
            for n in numbers
        ),
        ("two_layers", two_layers, (config.two_layer_seeds,)),
        ("maxout_plane", maxout.in_the_plane, ()),
        *(
            ("maxout_mnist", maxout.on_mnist, (config.maxout_epochs, config.maxout_train, repeat))
            for repeat in range(config.maxout_repeats + 1)
        ),
        *(("growth", growth.measured, (block,)) for block in growth.blocks(config.growth)),
        *(("facets", facets.measured, (block,)) for block in facets.blocks(config)),
    ]
    with_data = (maxout.on_mnist, growth.measured)
    found: dict[str, list[Any]] = {}
    with track("counting", "parts", enabled=True) as update:
        for n, (name, function, arguments) in enumerate(parts, start=1):
            path = job.cache / f"{block_key(function, Part((name, *arguments)))}.json"
            begin, more = time.process_time(), (job.data,) if function in with_data else ()
            found.setdefault(name, []).append(
                kept(path, lambda function=function, all_of=(*arguments, *more): function(*all_of))
            )
            if time.process_time() - begin > 1:
                print(f"{name} {arguments}: {time.process_time() - begin:.0f} s", flush=True)
            update(n, n / len(parts))
    record = {name: found[name] for name in ("resonance", "resonance_by_symmetry", "shi_threshold", "cnn")}
    record |= {"two_layers": found["two_layers"][0], "maxout_plane": found["maxout_plane"][0]}
    record["maxout_mnist"] = found["maxout_mnist"]
    record["growth"] = growth_by_shape(growth.blocks(config.growth), found["growth"], config.growth)
    record["facets"] = facets_by_size(facets.blocks(config), found["facets"])
    return record | {"claims": claims(record)}


def whole_resonance(d: int) -> dict[str, int]:
    """Count the resonance arrangement on all of R^d."""
    return {"d": d, "cells": int(tn.count_regions(arrangements.resonance(d)))}


def whole_shi_threshold(n: int) -> dict[str, int]:
    """Count the Shi-threshold arrangement on all of R^n."""
    return {"n": n, "cells": int(tn.count_regions(arrangements.shi_threshold(n)))}


def one_layer(size: arrangements.Size, kernel: tuple[int, int], stride: int, n: int, seeds: int) -> dict[str, Any]:
    """Count random CNNs of one layer with n filters, beside the maximum."""
    nets = [arrangements.random_cnn(size, kernel, stride, [n], seed) for seed in range(seeds)]
    return {
        "input": list(size),
        "filter": list(kernel),
        "stride": stride,
        "filters": n,
        "formula": arrangements.cnn_maximum(size, kernel, stride, n),
        "counts": [int(count) for count in tn.count_regions(nets)],
    }


def two_layers(seeds: int) -> dict[str, Any]:
    """Count random CNNs of two layers, beside the bounds on their maximum."""
    size, kernel, stride, channels = TWO_LAYERS
    lower, upper = arrangements.two_layer_bounds(size, kernel, stride, channels)
    nets = [arrangements.random_cnn(size, kernel, stride, channels, seed) for seed in range(seeds)]
    counts = [int(count) for count in tn.count_regions(nets)]
    return {"lower": lower, "upper": upper, "networks": seeds, "counts": sorted(counts)}
