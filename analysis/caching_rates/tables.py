"""The tables of `analysis.caching_rates`, made from its results only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.caching_rates.evaluate import ARMS
from analysis.shared.markdown import markdown_table, write_between_marks

__all__ = ["summary", "table_2", "write"]

_NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10 (gray)", "svhn": "SVHN", "fashion-mnist": "Fashion-MNIST (extra)"}


def write(path: Path, record: dict[str, Any]) -> None:
    """Write all tables between the marks of a Markdown file, or as a new file; its other text stays."""
    write_between_marks(path, tables(record))


def tables(record: dict[str, Any]) -> str:
    """Return all tables with their titles."""
    networks = record["config"]["networks"]
    parts = {
        f"Table 2, published / ours ({networks} + {networks} networks a row)": table_2(record["rows"]),
        "Table 2, published / ours, in the settings that come nearest": table_2(nearest(record)),
        "What the paper does not state: cached test images, mean with / without skips": sensitivity(record),
        "How near to print: chi2 of the numbers of cached images, and accuracies": settings(record),
        "(a) Caching rate by true class, mean over networks": classes(record),
        "(b) Distance to the centroid of the own class, P(uncached farther), p farther / nearer": centroids(record),
        "(c) Caching rate by size": sizes(record),
        "(d) Caching rate by data set": by_dataset(record),
        "Not run": not_run(record),
    }
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items() if text)


def nearest(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of each data set in the setting whose numbers of cached images come nearest to print.

    Nearest is the smallest chi2 among the settings with as many networks an arm as the table has.
    """
    fits = [entry for entry in record["fit_by_setting"] if entry["networks"] >= record["config"]["networks"]]
    best = {
        name: min((entry for entry in fits if entry["dataset"] == name), key=lambda entry: entry["chi2"])
        for name in dict.fromkeys(entry["dataset"] for entry in fits)
    }
    return [
        row
        for row in [*record["rows"], *record["sensitivity"]]
        if row["dataset"] in best and all(row[key] == best[row["dataset"]][key] for key in ("pixels", "batch"))
    ]


def table_2(rows: list[dict[str, Any]]) -> str:
    """Return rows of Table 2 as published and as they came out."""
    head = ["data set", "network, skips", "accuracy with", "without", "cached with", "without", "U", "p", "verdict"]
    lines = []
    for row in rows:
        published = row["published"] or {}
        lines.append(
            [
                _setting(row),
                _network(row),
                *[_pair(published.get(f"accuracy_{side}"), row[side]["accuracy"], ".1%") for side in ARMS],
                *[_pair(published.get(f"cached_{side}"), row[side]["cached"], ",.1f") for side in ARMS],
                _pair(published.get("U"), row["test"]["U"], ",.1f"),
                _pair(published.get("p"), row["test"]["p"], ".2g"),
                row["verdict"],
            ]
        )
    return markdown_table(head, lines)


def summary(record: dict[str, Any]) -> str:
    """Return Table 2, how much of it is reproduced, and what was not run."""
    missing = (f"not run: {name(entry)}: {entry['reason']}" for entry in record["not_run"])
    return "\n".join([table_2(record["rows"]), record["verdict"]["text"], *missing])


def sensitivity(record: dict[str, Any]) -> str:
    """Return how the rows depend on the batch size and on the range of the pixels."""
    if not record["sensitivity"]:
        return ""
    head = ["data set", "network, skips", "pixels", "batch", "networks", "accuracy with / without", "cached", "p"]
    names = {_identity(row) for row in record["sensitivity"]}
    chosen = [row for row in [*record["rows"], *record["sensitivity"]] if _identity(row) in names]
    order = {identity: number for number, identity in enumerate(map(_identity, record["rows"]))}
    chosen.sort(key=lambda row: (order.get(_identity(row), -1), row["pixels"] != [0, 1], row["batch"]))
    lines = [
        [
            _NAMES[row["dataset"]],
            _network(row),
            str(row["pixels"]),
            str(row["batch"]),
            f"{row['with']['networks']} + {row['without']['networks']}",
            " / ".join(f"{row[side]['accuracy']:.1%}" for side in ARMS),
            " / ".join(f"{row[side]['cached']:,.1f}" for side in ARMS),
            f"{row['test']['p']:.2g}",
        ]
        for row in chosen
    ]
    return markdown_table(head, lines)


def settings(record: dict[str, Any]) -> str:
    """Return how near every setting comes to print."""
    lines = [
        [
            _NAMES[entry["dataset"]],
            str(entry["pixels"]),
            str(entry["batch"]),
            str(entry["networks"]),
            f"{entry['chi2']:,.1f} on {entry['df']}",
            _value(entry["p"], ".2g"),
            f"{100 * entry['accuracy_difference']:.1f}",
        ]
        for entry in record["fit_by_setting"]
    ]
    head = ["data set", "pixels", "batch", "networks an arm", "chi2", "p", "accuracy, points off (root mean square)"]
    return markdown_table(head, lines)


def classes(record: dict[str, Any]) -> str:
    """Return the caching rates of the ten classes."""
    lines = [
        [
            _setting(entry),
            f"{entry['layers']} x {entry['neurons']} {entry['arm']}",
            *[_value(rate, ".1%") for rate in entry["true"]["rate"]],
            _value(100 * entry["true"]["spread"], ".1f"),
            _value(entry["agreement"], ".0%"),
        ]
        for entry in record["observations"]["by_class"]
    ]
    return markdown_table(["data set", "network, skips", *map(str, range(10)), "spread, points", "agreement"], lines)


def centroids(record: dict[str, Any]) -> str:
    """Return the distances to the class centroids and the areas under the ROC curve."""
    lines = [
        [
            _setting(entry),
            f"{entry['layers']} x {entry['neurons']} {entry['arm']}",
            f"{entry['networks']}",
            *[_value(entry.get(f"mean_{side}"), ".2f") for side in ("cached", "uncached")],
            *[
                cell
                for part in (entry, entry.get("within", {}))
                for cell in (
                    _value(part.get("area"), ".3f"),
                    _value(part.get("share_above_half"), ".0%"),
                    f"{_value(part.get('p'), '.1g')} / {_value(part.get('p_contrary'), '.1g')}",
                )
            ],
        ]
        for entry in record["observations"]["centroid_distance"]
    ]
    head = ["data set", "network, skips", "networks with both", "distance, cached", "uncached"]
    return markdown_table([*head, "area", "above 1/2", "p", "within classes", "above 1/2", "p"], lines)


def sizes(record: dict[str, Any]) -> str:
    """Return the caching rates and the regions that hold training images, by size."""
    entries = record["observations"]["network_size"]
    shapes = list(dict.fromkeys(tuple(shape) for entry in entries for shape in entry["shapes"]))
    lines = []
    for entry in entries:
        found = {tuple(shape): i for i, shape in enumerate(entry["shapes"])}
        cells = [
            f"{entry['rate'][found[shape]]:.2%}, {entry['training_regions'][found[shape]]:,.0f}"
            if shape in found
            else "not run"
            for shape in shapes
        ]
        more = ", ".join(f"{value:.2f}" for value in entry["smaller_has_more"])
        lines.append([_setting(entry), entry["arm"], *cells, more])
    names = [f"{layers} x {neurons}: rate, regions with training images" for layers, neurons in shapes]
    return markdown_table(["data set", "skips", *names, "P(smaller caches more)"], lines)


def by_dataset(record: dict[str, Any]) -> str:
    """Return the caching rates by data set."""
    entries = record["observations"]["dataset"]
    names = list(dict.fromkeys(dataset for entry in entries for dataset in entry["rate"]))
    lines = [
        [
            f"{entry['layers']} x {entry['neurons']} {entry['arm']}",
            str(entry["pixels"]),
            str(entry["batch"]),
            *[_value(entry["rate"].get(dataset), ".2%") for dataset in names],
            ", ".join(f"{_NAMES[other]} {value:.2f}" for other, value in entry["mnist_has_more"].items()),
        ]
        for entry in entries
        if len(entry["rate"]) > 1
    ]
    return markdown_table(
        ["network, skips", "pixels", "batch", *(_NAMES[dataset] for dataset in names), "P(MNIST caches more)"], lines
    )


def not_run(record: dict[str, Any]) -> str:
    """Return what is missing and why."""
    return "\n".join(f"- {name(entry)}: {entry['reason']}" for entry in record["not_run"])


# ---


def name(row: dict[str, Any]) -> str:
    """Return a row in words."""
    return f"{_dataset(row)}, {_network(row)}, batch {row['batch']}"


def _setting(row: dict[str, Any]) -> str:
    return f"{_dataset(row)}, batch {row['batch']}"


def _dataset(row: dict[str, Any]) -> str:
    return _NAMES[row["dataset"]] + ("" if row["pixels"] == [0, 1] else f", pixels in {row['pixels']}")


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["dataset"], row["layers"], row["neurons"]


def _network(row: dict[str, Any]) -> str:
    return f"{row['layers']} x {row['neurons']}, {', '.join(f'{k}-{target}' for k, target in row['skips'])}"


def _pair(published: float | None, ours: float, form: str) -> str:
    return f"{_value(published, form)} / {ours:{form}}"


def _value(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
