"""What the counts say about the printed ones: numbers first, then one row for each claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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

# Print gives no numbers for these, so what confirms them is chosen here, and named where it decides: by which part a
# power of the number of neurons may differ, by which part of the counts of two layers those of more, by which factor
# those while training from the start, and how far below 2 d a peak is just below.
_POWER, _DEPTH, _TRAINING, _JUST_BELOW = 0.15, 0.25, 3, 2


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


def _commute(row: dict[str, Any]) -> bool:
    """Return whether a CNN has several filters on one channel: applied one after the other they commute."""
    return row["filters"] > 1 and row["input"][2] == 1


def _in_the_plane(rows: Sequence[dict[str, Any]]) -> str:
    """Return the verdict on CNNs of one layer in the plane."""
    missed = [row for row in rows if not attained(row)]
    if not missed:
        return "equal to the formula"
    if any(max(row["counts"]) > row["formula"] for row in missed):
        return "**above the formula**"
    why = ": filters f and g share their weights among positions, and f * g = g * f makes their rows dependent"
    return f"**not attained** in {len(missed)} of {len(rows)} sizes" + (why if all(map(_commute, missed)) else "")


def _between(lower: int, upper: int, largest: int) -> str:
    """Return the verdict on bounds of a maximum, given the largest count that was found."""
    if largest > upper:
        return "**above the bound**"
    if largest < lower:
        return "consistent: below the upper bound"
    return "consistent: the largest found lies between"


def _size(row: dict[str, Any]) -> str:
    height, width, channels = row["input"]
    return f"{height} x {width} x {channels}, filters {row['filter'][0]} x {row['filter'][1]}"


def _cnns(record: dict[str, Any]) -> list[dict[str, str]]:
    flat = [row for row in record["cnn"] if row["input"][0] == 1]
    plane = [row for row in record["cnn"] if row["input"][0] > 1]
    n = len(record["cnn"][0]["counts"])
    two = record["two_layers"]
    return [
        _row(
            "Xiong et al., arXiv:2006.00978, Theorem 2",
            f"CNNs of one layer along one row of inputs, {len(flat)} sizes, {n} random networks each",
            ACTIVATION,
            "the formula of Theorem 2, for the maximum and almost surely the number, computed here, gives"
            f" {_numbers(row['formula'] for row in flat)}",
            f"attained by all networks of {sum(map(attained, flat))} sizes",
            "equal to the formula" if all(map(attained, flat)) else "**not equal to the formula**",
        ),
        _row(
            "the same",
            f"CNNs of one layer in the plane, {len(plane)} sizes",
            ACTIVATION,
            "the same formula gives "
            + "; ".join(f"{row['formula']:,} for {_size(row)}, {row['filters']} of them" for row in plane),
            "; ".join(
                _numbers(sorted(set(row["counts"]))) + ("" if attained(row) else " (not the formula's)")
                for row in plane
            ),
            _in_the_plane(plane),
        ),
        _row(
            "the same, Theorem 5",
            f"CNNs of two layers, input 1 x 4, filters 1 x 2, 2 and 3 of them; {two['networks']} random networks",
            ACTIVATION,
            f"the bounds of the theorem on the maximum, computed here, are {two['lower']:,} and {two['upper']:,}",
            f"{min(two['counts']):,} to {max(two['counts']):,}, mean {np.mean(two['counts']):,.0f}",
            _between(two["lower"], two["upper"], max(two["counts"])),
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
    unperturbed, *perturbed = runs  # the weights that the seed gives, and those that differ from them by rounding
    for printed in known["mnist"]:
        found = [own for run in runs for own in run["counts"] if own["epoch"] == printed["epoch"]]
        if not found:
            continue
        first, *others = found
        pairs = Counter(_pair(own) for own in others)
        rows.append(
            _row(
                source,
                f"784-7-7-6-10 on MNIST, plane of three images, epoch {printed['epoch']}; a run from the seed,"
                f" and {len(perturbed)} perturbed ones, whose first weights were changed by up to one part in 10^7",
                "as above",
                f"{printed['regions']} regions, {printed['pieces']} pieces",
                f"{_pair(first)}; perturbed {', '.join(f'{pair} in {n}' for pair, n in pairs.items())}",
                _by_rounding(_same(first, printed), sum(_same(own, printed) for own in others), len(others)),
            )
        )
    if len(unperturbed["loss"]) == len(known["loss"]):
        rows[-1]["ours"] += (
            ". All losses and accuracies to three digits as printed: from the seed"
            f" {_yes(reads_as_printed(unperturbed))}, perturbed in {sum(map(reads_as_printed, perturbed))} of"
            f" {len(perturbed)}"
        )
    return rows


def _pair(own: dict[str, int]) -> str:
    return f"{own['regions']} and {own['pieces']}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _by_rounding(own: bool, perturbed: int, runs: int) -> str:
    """Return the verdict on a run from the seed, and on how many of the perturbed ones are equal to print."""
    if own and perturbed == runs:
        return "equal"
    if not own and not perturbed:
        return "**not equal**"
    start = "equal" if own else "**not equal** from the seed"
    return f"{start}; perturbed, equal in {perturbed} of {runs} runs: rounding decides"


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
        grows = [
            all(abs(value - degree) < _POWER * degree for measure in measures for value in power(measure, names))
            for names in (plain, skips)
        ]
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
                _with_skips(*grows, f"powers within {100 * _POWER:g} % of {degree}"),
            )
        )
        hardly = [
            all(abs(value - 1) < _DEPTH for measure in measures for value in relative(measure, names))
            for names in (plain, skips)
        ]
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
                _with_skips(*hardly, f"mean counts within {100 * _DEPTH:g} % of those of two layers"),
            )
        )
        stays = [
            all(1 / _TRAINING < value < _TRAINING for measure in measures for value in path(measure, names))
            for names in (plain, skips)
        ]
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
                _with_skips(*stays, f"mean counts within a factor of {_TRAINING} of those at the start"),
            )
        )
    return rows


def _with_skips(without: bool, skips: bool, what: str) -> str:
    """Return the verdict on a statement about networks without skips, which is asked of those with skips, too."""
    if not without:
        return f"**not confirmed**: not all {what}"
    return f"confirmed: all {what}" + (", with skips too" if skips else "; **not with skips**")


def _facets(record: dict[str, Any]) -> list[dict[str, str]]:
    source = "Gaines and Bi (Relucent), Characterizing the Discrete Geometry of ReLU Networks"
    groups = [(row, row[when]) for row in record["facets"] for when in ("before", "after")]
    networks, n = sum(len(row["before"]["means"]) for row in record["facets"]), sum(len(p["means"]) for _, p in groups)
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
    skewed, one_peak = sum(skew > 0 for *_, skew in large), sum(is_unimodal for _, _, is_unimodal, _ in large)
    below_peak = sum(-_JUST_BELOW <= offset < 0 for _, offset, *_ in large)
    at_peak = sum(offset == 0 for _, offset, *_ in large)
    return [
        _row(
            source,
            f"{networks} networks with {record['facets'][0]['dimension']} to {record['facets'][-1]['dimension']}"
            " inputs, before and after training on three blobs",
            ACTIVATION,
            "mean number of facets at most 2 d; at least min(n_1, d) for each region",
            f"at most 2 d in {below} of {n}; largest means {', '.join(f'{mean:.2f} (d = {d})' for mean, d in nearest)};"
            f" every region has at least min(n_1, d): {_yes(least)}",
            _unless(
                {
                    f"the mean is above 2 d in {n - below} of {n}": below < n,
                    "some region has fewer than min(n_1, d)": not least,
                }
            ),
        ),
        _row(
            source,
            f"those of at least {_LARGE:,} regions, before or after: {len(large)} distributions",
            ACTIVATION,
            "the number of facets is unimodal, skews right and peaks just below 2 d",
            f"unimodal in {one_peak}, skewed to the right in {skewed}; most frequent is a number 1 to {_JUST_BELOW}"
            f" below 2 d in {below_peak}, 2 d itself in {at_peak}; minus 2 d it is "
            + "; ".join(f"{_numbers(part)} for d = {d}" for d, part in offsets.items()),
            _shape(len(large), len(large) - one_peak, len(large) - skewed, at_peak, len(large) - below_peak - at_peak),
        ),
    ]


def _unless(faults: Mapping[str, int]) -> str:
    found = [fault for fault, holds in faults.items() if holds]
    return f"**not confirmed**: {'; '.join(found)}" if found else "confirmed"


def _shape(n: int, bumps: int, unskewed: int, at_peak: int, elsewhere: int) -> str:
    """Return the verdict on n distributions; bumps and peaks at 2 d are exceptions, unless most have them."""
    if not n:
        return "not counted"
    faults = {f"{unskewed} of {n} do not skew to the right": unskewed, f"{elsewhere} of {n} peak elsewhere": elsewhere}
    exceptions = {f"{bumps} of {n} are not unimodal": bumps, f"{at_peak} of {n} peak at 2 d itself": at_peak}
    if any(faults.values()) or 2 * max(exceptions.values()) > n:
        return _unless(faults | exceptions)
    named = [text for text, number in exceptions.items() if number]
    return "confirmed" + (f", except that {' and '.join(named)}" if named else "")


def summary(record: dict[str, Any]) -> str:
    """Return the claims as a short text."""
    lines = [f"{row['source']}; {row['setting']}: {row['verdict']}" for row in record["claims"]]
    return "\n".join(([SMALLER] if record.get("quick") else []) + lines)
