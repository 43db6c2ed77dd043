"""How the files here were made, by tropnet 0.1.0.dev0: `python -m tests.core.stored_files.make FOLDER`.

They stay as they are: what reads them must go on reading them. Formats of a later version get files beside them.
"""

import sys
from pathlib import Path

import numpy as np

import tropnet as tn

# A leaky layer, and a skip from the input.
NET = tn.Network(
    [
        tn.Layer({0: np.array([[1.0, 1.0], [1.0, -1.0]])}, np.array([0.0, 0.25])),
        tn.Layer({1: np.array([[1.0, -2.0]]), 0: np.array([[0.5, 0.0]])}, np.array([0.125]), (0.25, 1.0)),
        tn.Layer({2: np.array([[2.0]]), 1: np.ones((1, 2))}, np.array([-1.0])),
    ]
)
BOX = tn.Box(-1, 1)


def make(folder: Path) -> None:
    NET.save(folder / "network.npz")
    regions = tn.enumerate_regions(NET, BOX, facets=True)
    regions.to_parquet(folder / "regions.parquet")
    regions.to_npz(folder / "regions.npz")
    tn.CompiledPredictor.from_regions(regions).save(folder / "compiled.npz")
    tn.CachedPredictor(NET, 50).warm(regions.witnesses).save(folder / "cached.npz")
    tn.enumerate_regions(NET, BOX, out=folder / "run", facets=True)
    tracker = tn.RegionTracker(BOX)
    tracker.add(NET, step=3)
    tracker.to_npz(folder / "tracked.npz")
    tn.certify(NET, BOX, folder / "certificate.parquet")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
