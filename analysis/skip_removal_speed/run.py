"""Measure every network in every form on every device, beside the published times."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from analysis.shared.blocks import block_key, kept
from analysis.shared.main import Job
from analysis.shared.mnist import load
from analysis.shared.results import published as published_numbers
from analysis.skip_removal_speed.config import Config
from analysis.skip_removal_speed.measurement import (
    compiled,
    forms,
    largest_difference,
    peak_bytes,
    ratios,
    time_side_by_side,
    values_bytes,
)
from tropnet.homotopy import resnet34, skip_cnn

BASELINE = "plain"
# Microseconds per image with and without skips in the published file.
PUBLISHED = {
    "resnet34": ("ResNet34 with skips", "ResNet34 skips removed"),
    "cnn6": ("6-layer CNN, skips between all non-consecutive layers", "6-layer CNN skips removed"),
}


def builders(config: Config) -> dict[str, Any]:
    """Return what makes each network, given the form of its skips."""
    return {
        "resnet34": lambda skips: resnet34(skips, width=config.width),
        "cnn6": lambda skips: skip_cnn(6, skips, channels=config.channels),
    }


def run(config: Config, job: Job) -> dict[str, Any]:
    """Measure every network on every device."""
    before = os.getloadavg()
    results = {
        device: {name: measure(name, config, device, job) for name in builders(config)} for device in config.devices
    }
    return {
        "devices": results,
        "load_average": {"before": list(before), "after": list(os.getloadavg())},
        "published": published(),
        "not_run": not_run(config, results),
    }


@dataclass(frozen=True)
class _Block:
    """What is measured side by side: one network in all forms, in the one mode and on the one device of `config`."""

    network: str
    config: Config


def measure(name: str, config: Config, device: str, job: Job) -> dict[str, Any]:
    """Return what one network costs in every form and mode on a device.

    Returns
    -------
    dict
        forms: by name, parameters and, relative to the largest output, the largest difference from the form that it
        must equal. modes: by mode and form, times and peak memory. programs: by form, what the
        traced program holds.
    """
    images = load("test", config.batches * config.batch, device, job.data).images
    batches = list(images.split(config.batch))
    models = forms(builders(config)[name], batches[0], config.seed)
    modes = {}
    for mode in config.modes:
        block = _Block(name, replace(config, modes=(mode,), devices=(device,)))
        path = job.cache / f"{block_key(_measure_mode, block)}.json"
        if not job.go_on:
            path.unlink(missing_ok=True)
        modes[mode] = kept(path, partial(_measure_mode, mode, models, batches, config))
    return {
        "forms": {
            form: {
                "parameters": sum(p.numel() for p in model.parameters()),
                "same_as": _same_as(form),
                "difference": largest_difference(models[_same_as(form)], model, batches[0]),
            }
            for form, model in models.items()
        },
        "modes": modes,
        "programs": _measure_programs(models, batches[0]),
    }


def _same_as(name: str) -> str:
    """Return the form that is the same function: there are two, with the skips and without them."""
    return "weighted" if name in ("weighted", "removed", "removed, folded") else BASELINE


def _measure_mode(
    mode: str, models: Mapping[str, nn.Module], batches: list[Tensor], config: Config
) -> dict[str, dict[str, Any]]:
    """Return, by form: compiling, times with ratios to the baseline, peak_bytes and their ratio; or a refusal."""
    record: dict[str, dict[str, Any]] = {name: {} for name in models}
    if mode == "compiled":
        models, compiling = compiled(models, batches[0])
        record = {name: {"compiling": found} for name, found in compiling.items()}
    if BASELINE not in models:
        return record
    times = ratios(time_side_by_side(models, batches, config.rounds, config.seed), BASELINE)
    peaks = {name: peak_bytes(model, batches[0]) for name, model in models.items()}
    for name in models:
        record[name] |= {
            "times": times[name],
            "peak_bytes": peaks[name],
            "peak_ratio": peaks[name] / peaks[BASELINE],
        }
    return record


def _measure_programs(models: Mapping[str, nn.Module], images: Tensor) -> dict[str, dict[str, Any]]:
    """Return the operations of every form, and the largest size of the values that are still needed at one time.

    Beside the whole, "blocks" is that of ResNet's residual blocks alone, with the values they begin with.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        program = torch.fx.symbolic_trace(model)
        found[name] = {"operations": len(program.graph.nodes), "values_bytes": values_bytes(program, images)}
        if hasattr(model, "blocks"):
            with torch.inference_mode():
                inputs = model.stem(images)
            blocks = torch.fx.symbolic_trace(model.blocks)
            found[name]["blocks_values_bytes"] = values_bytes(blocks, inputs, with_inputs=True)
    for record in found.values():
        for key in ("values_bytes", "blocks_values_bytes"):
            if key in record:
                record[key.replace("bytes", "ratio")] = record[key] / found[BASELINE][key]
    return found


def published() -> dict[str, Any]:
    """Return the published microseconds per image, the ratio without to with skips, and the hardware."""
    timings = published_numbers("cnn_figures")["timings_us_per_image"]
    rows = {
        name: {"with": timings[with_], "removed": timings[removed], "ratio": timings[removed] / timings[with_]}
        for name, (with_, removed) in PUBLISHED.items()
    }
    return {**rows, "hardware": timings["hardware"]}


def not_run(config: Config, results: Mapping[str, Any]) -> list[str]:
    """Return in words what these results do not have."""
    missing = []
    if not any(device.startswith("cuda") for device in config.devices):
        missing.append("times and memory on a GPU, which the published times are from")
    if "compiled" not in config.modes:
        missing.append("torch.compile")
    for device, networks in results.items():
        for name, found in networks.items():
            missing += [
                f"{name}, {form}, compiled on {device}: {row['compiling']['refused']}"
                for form, row in found["modes"].get("compiled", {}).items()
                if "refused" in row["compiling"]
            ]
    return missing


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for device, networks in record["devices"].items():
        for name, found in networks.items():
            for mode, rows in found["modes"].items():
                lines += [
                    f"{device}, {name}, {mode}, {form}: {_times(row['times'])}; peak {row['peak_bytes'] / 1e6:.3g} MB,"
                    f" x {row['peak_ratio']:.3f}"
                    for form, row in rows.items()
                    if "times" in row
                ]
            lines += [
                f"{device}, {name}, {form}: {row['operations']} operations; values needed at one time x"
                f" {row['values_ratio']:.3f}"
                + (f", in the blocks alone x {row['blocks_values_ratio']:.3f}" if "blocks_values_ratio" in row else "")
                for form, row in found["programs"].items()
            ]
    for name in PUBLISHED:
        lines.append(f"published, {name}, removed: x {record['published'][name]['ratio']:.3f}")
    lines += [f"not run: {what}" for what in record["not_run"]]
    return "\n".join(lines)


def _times(times: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{found['microseconds']:.4g} us per image by the {clock}, x {found['ratio']:.3f} of plain"
        for clock, found in times.items()
    )
