"""What the counts say about the printed ones: numbers first, then one row for each claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.published_counts import facets, growth
from analysis.published_counts.config import SHAPES, Growth
from analysis.shared.results import published
from analysis.shared.statistics import interval

# What is counted, in the words of Stargalla, Hertrich and Reichman (arXiv:2505.16716), who tell six meanings apart.
CELLS = "cells of an arrangement: proper activation regions"
ACTIVATION = "proper activation regions"
LINEAR = "open connected regions, along a line"
# From this number of regions on a distribution of facets has a shape.
_LARGE = 1000


# --- growth


def growth_by_shape(
    blocks: Sequence[growth.Block], found: Sequence[list[dict[str, Any]]], config: Growth
) -> dict[str, Any]:
    """Return, for each shape and number of neurons, mean counts and their intervals, at the start and by milestone."""
    at_start, trained = [], []
    for rows, totals, is_trained in ((at_start, config.totals, False), (trained, config.trained_totals, True)):
        for depth, skips in SHAPES:
            for total in totals:
                group = [
                    own
                    for block, own in zip(blocks, found, strict=True)
                    if (block.depth, block.skips, block.total, block.trained) == (depth, skips, total, is_trained)
                ]
                row: dict[str, Any] = {"shape": growth.shape_of(depth, skips), "neurons": total, "networks": len(group)}
                for measure in growth.MEASURES:
                    paths = np.array([[entry[measure] for entry in own] for own in group])
                    if not is_trained:
                        row[measure] = interval(paths[:, 0].tolist())
                        continue
                    row[measure] = [interval(column.tolist()) for column in paths.T]
                    row[f"{measure}_to_start"] = [interval(column.tolist()) for column in (paths / paths[:, :1]).T]
                if is_trained:
                    row["accuracy"] = interval([own[-1]["accuracy"] for own in group])
                rows.append(row)
    return {
        "at_start": at_start,
        "exponents": exponents(at_start),
        "by_depth": by_depth(at_start, config.totals[-1]),
        "epochs": list(config.milestones),
        "trained": trained,
    }


def exponents(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return by which power of the number of neurons counts grow, by least squares on logarithms, for each shape."""
    found = []
    for shape in dict.fromkeys(row["shape"] for row in rows):
        own = [row for row in rows if row["shape"] == shape]
        x = np.log([row["neurons"] for row in own])
        slopes = {
            measure: float(np.polyfit(x, np.log([row[measure]["mean"] for row in own]), 1)[0])
            for measure in growth.MEASURES
        }
        found.append({"shape": shape} | slopes)
    return found


def by_depth(rows: Sequence[dict[str, Any]], neurons: int) -> list[dict[str, Any]]:
    """Return the counts of each shape relative to those of the first, with as many neurons."""
    own = [row for row in rows if row["neurons"] == neurons]
    return [
        {"shape": row["shape"], "neurons": neurons}
        | {measure: row[measure]["mean"] / own[0][measure]["mean"] for measure in growth.MEASURES}
        for row in own
    ]


# --- facets


def facets_by_size(blocks: Sequence[facets.Block], found: Sequence[dict[str, list[int]]]) -> list[dict[str, Any]]:
    """Return, for each size, before and after training: networks, regions, means, least facets, the distribution."""
    rows = []
    for size in dict.fromkeys((block.dimension, block.width, block.depth) for block in blocks):
        group = [
            own for block, own in zip(blocks, found, strict=True) if (block.dimension, block.width, block.depth) == size
        ]
        row: dict[str, Any] = dict(zip(("dimension", "width", "depth"), size, strict=True))
        for when in ("before", "after"):
            counts = [np.array(own[when]) for own in group]
            longest = max(map(len, counts))
            pooled = sum(np.pad(own, (0, longest - len(own))) for own in counts)
            row[when] = {
                "regions": [int(own.sum()) for own in counts],
                "means": [float(own @ np.arange(len(own)) / own.sum()) for own in counts],
                "least": min(int(np.flatnonzero(own)[0]) for own in counts),
                "modes": [int(own.argmax()) for own in counts],
                "unimodal": [unimodal(own) for own in counts],
                "skewness": [skewness(own) for own in counts],
                "distribution": [int(n) for n in pooled],
            }
        rows.append(row)
    return rows


def unimodal(counts: Any) -> bool:
    """Return whether counts rise, not strictly, to a largest one and fall from there.

    Examples
    --------
    >>> unimodal([0, 1, 3, 3, 2]), unimodal([2, 1, 3])
    (True, False)
    """
    steps = np.diff(counts)
    top = int(np.argmax(counts))
    return bool((steps[:top] >= 0).all() and (steps[top:] <= 0).all())


def skewness(counts: Any) -> float:
    """Return the skewness of 0, 1, 2, ... taken so often: positive with a longer tail of large numbers.

    Examples
    --------
    >>> skewness([1, 0, 1]), skewness([3, 0, 1]) > 0
    (0.0, True)
    """
    shares, values = np.asarray(counts) / np.sum(counts), np.arange(len(counts))
    centred = values - shares @ values
    variance = float(shares @ centred**2)
    return float(shares @ centred**3) / variance**1.5 if variance else 0.0


# --- claims


SMALLER = "A quick run, smaller than what is in print: its verdicts only show that everything runs."


def claims(record: dict[str, Any]) -> list[dict[str, str]]:
    """Return a row for each printed count or statement: source, setting, what is meant, printed, ours, verdict."""
    return [*_arrangements(record), *_cnns(record), *_maxout(record), *_growth(record["growth"]), *_facets(record)]


def _row(source: str, setting: str, meant: str, printed: str, ours: str, verdict: str) -> dict[str, str]:
    return {"source": source, "setting": setting, "meant": meant, "printed": printed, "ours": ours, "verdict": verdict}


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:,}" for value in values)


def _arrangements(record: dict[str, Any]) -> list[dict[str, str]]:
    known = {name: _cells(name) for name in ("resonance", "shi_threshold")}
    whole = {row["d"]: row["cells"] for row in record["resonance"]}
    folded = {d: row["cells"] for d, row in enumerate(record["resonance_by_symmetry"], start=3)}
    equal = all(known["resonance"][d] == n for part in (whole, folded) for d, n in part.items())
    shi = {row["n"]: row["cells"] for row in record["shi_threshold"]}
    counted = record["resonance_by_symmetry"][-1]["counted"]
    return [
        _row(
            "OEIS A034997",
            f"resonance arrangement, 2^d - 1 planes in R^d, d = 1 to {max(folded)}",
            CELLS,
            _numbers(known["resonance"][d] for d in whole | folded),
            f"{_numbers((whole | folded).values())}: d up to {max(whole)} on all of R^d; d from 3 by symmetry too,"
            f" where {counted:,} cells are counted for d = {max(folded)}",
            "equal" if equal else "**not equal**",
        ),
        _row(
            "OEIS A307650",
            f"Shi-threshold arrangement, x_i + x_j = 0 and = 1, in R^n, n = 2 to {max(shi)}",
            CELLS,
            _numbers(known["shi_threshold"][n] for n in shi),
            _numbers(shi.values()),
            "equal" if all(known["shi_threshold"][n] == own for n, own in shi.items()) else "**not equal**",
        ),
    ]


def _cells(name: str) -> dict[int, int]:
    return {int(d): n for d, n in published("counts")[name]["cells"].items()}


def attained(row: dict[str, Any]) -> bool:
    """Return whether all random CNNs of a size have as many regions as the formula says."""
    return all(count == row["formula"] for count in row["counts"])


def _size(row: dict[str, Any]) -> str:
    height, width, channels = row["input"]
    return f"{height} x {width} x {channels}, filters {row['filter'][0]} x {row['filter'][1]}"


def _cnns(record: dict[str, Any]) -> list[dict[str, str]]:
    flat = [row for row in record["cnn"] if row["input"][0] == 1]
    plane = [row for row in record["cnn"] if row["input"][0] > 1]
    missed = [row for row in plane if not attained(row)]
    n = len(record["cnn"][0]["counts"])
    two = record["two_layers"]
    return [
        _row(
            "Xiong et al., arXiv:2006.00978, Theorem 2",
            f"CNNs of one layer along one row of inputs, {len(flat)} sizes, {n} random networks each",
            ACTIVATION,
            f"maximum by formula, and almost surely the number: {_numbers(row['formula'] for row in flat)}",
            f"attained by all networks of {sum(map(attained, flat))} sizes",
            "equal" if all(map(attained, flat)) else "**not equal**",
        ),
        _row(
            "the same",
            f"CNNs of one layer in the plane, {len(plane)} sizes",
            ACTIVATION,
            "; ".join(f"{_size(row)}, {row['filters']} of them: {row['formula']:,}" for row in plane),
            "; ".join(
                f"{_numbers(sorted(set(row['counts'])))} {'(less)' if row in missed else ''}".strip() for row in plane
            ),
            "equal"
            if not missed
            else f"**not attained** in {len(missed)} of {len(plane)} sizes: filters f and g share their weights among"
            " positions, and f * g = g * f makes their rows dependent",
        ),
        _row(
            "the same, Theorem 5",
            f"CNNs of two layers, input 1 x 4, filters 1 x 2, 2 and 3 of them; {two['networks']} random networks",
            ACTIVATION,
            f"the maximum is between {two['lower']:,} and {two['upper']:,}",
            f"{two['counts'][0]:,} to {two['counts'][-1]:,}, mean {np.mean(two['counts']):,.0f}",
            "consistent: the largest found lies between"
            if two["lower"] <= two["counts"][-1] <= two["upper"]
            else ("**above the bound**" if two["counts"][-1] > two["upper"] else "consistent: below the upper bound"),
        ),
    ]


def _maxout(record: dict[str, Any]) -> list[dict[str, str]]:
    known, plane = published("counts")["maxout"], record["maxout_plane"]
    source = "Tseran and Montufar, arXiv:2107.00379, output of their code"
    runs = record["maxout_mnist"]
    rows = [
        _row(
            source,
            "maxout network of rank 2, 2-7-7-6-2, on [-3, 3]^2, at initialisation (seed 123)",
            "proper activation regions of the maxout units, which rank 2 lowered to ReLU keeps",
            f"{known['plane']['regions']} regions, {known['plane']['pieces']} pieces of the boundary",
            f"{plane['regions']} and {plane['pieces']} (linear regions {plane['linear_regions']})",
            "equal" if _same(plane, known["plane"]) else "**not equal**",
        )
    ]
    for printed in known["mnist"]:
        found = [own for run in runs for own in run["counts"] if own["epoch"] == printed["epoch"]]
        if not found:
            continue
        equal = sum(_same(own, printed) for own in found)
        pairs = dict.fromkeys(f"{own['regions']} and {own['pieces']}" for own in found)
        rows.append(
            _row(
                source,
                f"784-7-7-6-10 on MNIST, plane of three images, epoch {printed['epoch']}; {len(runs)} runs, whose first"
                " weights differ by one part in 10^7",
                "as above",
                f"{printed['regions']} regions, {printed['pieces']} pieces",
                "; ".join(pairs),
                "equal"
                if equal == len(found)
                else (f"equal in {equal} of {len(found)} runs: rounding decides" if equal else "**not equal**"),
            )
        )
    as_printed = sum(reads_as_printed(run) for run in runs)
    if len(runs[0]["loss"]) == len(known["loss"]):
        rows[-1]["ours"] += f". All losses and accuracies to three digits as printed in {as_printed} runs"
    return rows


def _same(own: dict[str, int], printed: dict[str, int]) -> bool:
    return all(own[name] == printed[name] for name in ("regions", "pieces"))


def reads_as_printed(run: dict[str, Any]) -> bool:
    """Return whether the losses and accuracies of a run are those that the code prints, to three digits."""
    known = published("counts")["maxout"]
    return all(
        len(run[name]) == len(known[name]) and np.abs(np.subtract(run[name], known[name])).max() < 5.5e-4
        for name in ("loss", "accuracy")
    )


def _growth(found: dict[str, Any]) -> list[dict[str, str]]:
    plain, skips = (
        [growth.shape_of(*shape) for shape in SHAPES if bool(shape[1]) == with_skips] for with_skips in (False, True)
    )
    neurons = found["by_depth"][0]["neurons"]
    lines, planes = "Hanin and Rolnick, arXiv:1901.09021", "Hanin and Rolnick, arXiv:1906.00904"

    def span(values: Sequence[float], digits: int = 2) -> str:
        return f"{min(values):.{digits}f} to {max(values):.{digits}f}"

    def power(measure: str, names: Sequence[str]) -> list[float]:
        return [row[measure] for row in found["exponents"] if row["shape"] in names]

    def relative(measure: str, names: Sequence[str]) -> list[float]:
        return [row[measure] for row in found["by_depth"] if row["shape"] in names]

    def per(measure: str, names: Sequence[str], degree: int) -> list[float]:
        divisor = (1, 2)[degree - 1]
        return [
            divisor * row[measure]["mean"] / row["neurons"] ** degree
            for row in found["at_start"]
            if row["shape"] in names
        ]

    def path(measure: str, names: Sequence[str]) -> list[float]:
        return [
            entry["mean"] for row in found["trained"] if row["shape"] in names for entry in row[f"{measure}_to_start"]
        ]

    def ends(measure: str, names: Sequence[str]) -> list[float]:
        return [row[f"{measure}_to_start"][-1]["mean"] for row in found["trained"] if row["shape"] in names]

    rows = []
    for source, meant, measures, degree, where in (
        (lines, LINEAR, ("from_origin_linear", "between_images_linear"), 1, ("0 to an image", "image to image")),
        (planes, ACTIVATION, growth.PLANES, 2, ("plane through 0", "plane of three images")),
    ):
        unit = "per neuron" if degree == 1 else "over N^2 / 2"
        grows = [power(measure, plain) for measure in measures]
        right = all(abs(value - degree) < 0.15 * degree for part in grows for value in part)
        rows.append(
            _row(
                source,
                f"MNIST, at initialisation, N = {found['at_start'][0]['neurons']} to {neurons} neurons, 2 to 4 layers",
                meant,
                "on average grows linearly with the number of neurons"
                if degree == 1
                else "on average at most (number of neurons)^2 up to a constant, and tight",
                "; ".join(
                    f"{name}: power {span(power(measure, plain))} (skips {span(power(measure, skips))}),"
                    f" {unit} {span(per(measure, plain, degree))} (skips {span(per(measure, skips, degree))})"
                    for name, measure in zip(where, measures, strict=True)
                ),
                "confirmed" if right else "**not confirmed**",
            )
        )
        hardly = all(abs(value - 1) < 0.25 for measure in measures for value in relative(measure, plain))
        rows.append(
            _row(
                source,
                f"the same, N = {neurons}: three and four layers against two",
                meant,
                "hardly depends on depth",
                "; ".join(
                    f"{name}: {span(relative(measure, plain[1:]))} times (skips {span(relative(measure, skips))})"
                    for name, measure in zip(where, measures, strict=True)
                ),
                "confirmed" if hardly else "**not confirmed**",
            )
        )
        stays = all(1 / 3 < value < 3 for measure in measures for value in path(measure, plain))
        rows.append(
            _row(
                source,
                f"the same while training, N = {_numbers(sorted({row['neurons'] for row in found['trained']}))},"
                f" {found['epochs'][-1]:g} epochs of Adam",
                meant,
                "stays roughly as at initialisation, far below exponential",
                "; ".join(
                    f"{name}: {span(path(measure, plain))} times the start, {span(ends(measure, plain))} at the end"
                    f" (skips {span(path(measure, skips))}, {span(ends(measure, skips))})"
                    for name, measure in zip(where, measures, strict=True)
                ),
                "confirmed" if stays else "**not confirmed**",
            )
        )
    return rows


def _facets(record: dict[str, Any]) -> list[dict[str, str]]:
    source = "Gaines and Bi (Relucent), Characterizing the Discrete Geometry of ReLU Networks"
    groups = [(row, row[when]) for row in record["facets"] for when in ("before", "after")]
    n = sum(len(part["means"]) for _, part in groups)
    below = sum(mean <= 2 * row["dimension"] for row, part in groups for mean in part["means"])
    least = all(part["least"] >= min(row["width"], row["dimension"]) for row, part in groups)
    nearest = [
        (max(mean for row, part in groups if row["dimension"] == d for mean in part["means"]), d)
        for d in dict.fromkeys(row["dimension"] for row, _ in groups)
    ]
    large = [
        (row["dimension"], mode - 2 * row["dimension"], is_unimodal, skew)
        for row, part in groups
        for regions, mode, is_unimodal, skew in zip(
            part["regions"], part["modes"], part["unimodal"], part["skewness"], strict=True
        )
        if regions >= _LARGE
    ]
    offsets = {d: sorted({offset for own, offset, _, _ in large if own == d}) for d, *_ in large}
    peaks = all(-2 <= offset <= 0 for part in offsets.values() for offset in part)
    skewed, one_peak = sum(skew > 0 for *_, skew in large), sum(is_unimodal for _, _, is_unimodal, _ in large)
    return [
        _row(
            source,
            f"{n} networks with {record['facets'][0]['dimension']} to {record['facets'][-1]['dimension']} inputs,"
            " before and after training on three blobs",
            ACTIVATION,
            "mean number of facets at most 2 d; at least min(n_1, d) for each region",
            f"at most 2 d in {below} of {n}; largest means {', '.join(f'{mean:.2f} (d = {d})' for mean, d in nearest)};"
            f" every region has at least min(n_1, d): {'yes' if least else 'no'}",
            "confirmed" if below == n and least else "**not confirmed**",
        ),
        _row(
            source,
            f"those of at least {_LARGE:,} regions: {len(large)}",
            ACTIVATION,
            "the number of facets is unimodal, skews right and peaks just below 2 d",
            f"unimodal in {one_peak}, skewed to the right in {skewed}; the most frequent number minus 2 d is "
            + "; ".join(f"{_numbers(part)} for d = {d}" for d, part in offsets.items()),
            "not counted"
            if not large
            else ("confirmed" if peaks and skewed == len(large) else "**not confirmed**")
            + ("" if one_peak == len(large) else f"; {len(large) - one_peak} have a bump, mostly of a few regions"),
        ),
    ]


def summary(record: dict[str, Any]) -> str:
    """Return the claims as a short text."""
    lines = [f"{row['source']}; {row['setting']}: {row['verdict']}" for row in record["claims"]]
    return "\n".join(([SMALLER] if record.get("quick") else []) + lines)
