"""Where the networks and properties are: the published files, checked, or small ones made for a quick run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tropnet as tn
from analysis.acas_xu.config import Config
from analysis.shared.datasets import PublishedFile, local_or_fetched
from analysis.shared.results import published
from tropnet.properties import vnnlib_text

__all__ = ["FOLDER", "Files", "generated", "published_files"]

FOLDER = "acasxu"
_WIDTHS = [5, 6, 6, 5]


@dataclass(frozen=True)
class Files:
    """Paths of networks by name and of properties by number."""

    networks: dict[str, str]
    properties: dict[int, str]


def published_files(config: Config, folder: Path | None) -> Files:
    """Return the files that a configuration needs, each with its published digest; errors as of `datasets.load`."""
    known = published("acas_xu")

    def path(name: str, digest: str) -> str:
        file = PublishedFile(name, f"{known['url']}/{name}", f"sha256:{digest}")
        return str(local_or_fetched(FOLDER, file, folder))

    return Files(
        {
            name: path(f"ACASXU_run2a_{name}_batch_2000.onnx", known["networks"][name])
            for name in dict.fromkeys(name for _, name in config.instances)
        },
        {
            number: path(f"prop_{number}.vnnlib", known["properties"][str(number)])
            for number in dict.fromkeys(number for number, _ in config.instances)
        },
    )


def generated(config: Config, folder: Path) -> Files:
    """Write small random networks and properties, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    networks, properties = {}, {}
    for seed, name in enumerate(dict.fromkeys(name for _, name in config.instances)):
        networks[name] = str(folder / f"{name}.npz")
        tn.Network.random(_WIDTHS, seed=seed).save(networks[name])
    for number in dict.fromkeys(number for number, _ in config.instances):
        box, C = tn.Box(-1, [1.0, 1.0, 1.0, 0.5, 0.5]), -np.eye(_WIDTHS[-1])[1:]
        C[:, 0] = 1
        made: Any = (
            tn.Property.always(box, [[-1, 0, 0, 0, 0]], [5])
            if number == 1
            else tn.Property.unsafe(box, C, [0] * len(C))
        )
        properties[number] = str(folder / f"prop_{number}.vnnlib")
        Path(properties[number]).write_text(vnnlib_text(made, _WIDTHS[0], _WIDTHS[-1]))
    return Files(networks, properties)
