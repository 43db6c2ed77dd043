"""What is measured, as data: architectures with PyTorch's default initialisation, and their domains."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import combinations

import tropnet as tn

SEED = 0
QUICK = bool(os.environ.get("TROPNET_BENCHMARK_QUICK"))


@dataclass(frozen=True)
class Case:
    """An architecture on a domain; a seed makes it a network.

    Attributes
    ----------
    inputs, widths
        Input dimension and hidden widths; there is one output.
    half_width
        Of the box around the origin; None is R^d.
    skips
        As in `Network.mlp`.
    """

    inputs: int
    widths: tuple[int, ...]
    half_width: float | None = 10.0
    skips: tuple[tuple[int, int], ...] = ()

    @property
    def architecture(self) -> str:
        """The input dimension and the widths, and the skips."""
        skips = ", ".join(f"{k}-{index}" for k, index in self.skips)
        return "-".join(map(str, (self.inputs, *self.widths))) + (f", skips {skips}" if skips else "")

    @property
    def where(self) -> str:
        """The domain in words."""
        return f"R^{self.inputs}" if self.half_width is None else f"half-width {self.half_width:g}"

    def __str__(self) -> str:
        return f"{self.architecture}, {self.where}"

    @property
    def domain(self) -> tn.Box | None:
        """The domain, as the public calls take it."""
        return None if self.half_width is None else tn.Box([-self.half_width] * self.inputs, self.half_width)

    def network(self, index: int) -> tn.Network:
        """Draw network number `index`; another call draws the same one afresh."""
        return tn.Network.random([self.inputs, *self.widths, 1], self.skips, seed=SEED + index)


def _square(inputs: int, width: int, depth: int, half_width: float = 10.0, n_skips: int = 0) -> Case:
    skips = [(k, index) for k, index in combinations(range(1, depth + 1), 2) if index > k + 1]
    return Case(inputs, (width,) * depth, half_width, tuple(skips[:n_skips]))


# Small boxes, as other programs take them; in the plane those that regioncam does.
PLANE = (
    Case(2, (16, 16), 1.0),
    Case(2, (32, 32), 1.0),
    Case(2, (32, 32, 32), 1.0),
    Case(2, (64, 64, 64), 1.0),
    Case(2, (64, 64, 64), 1.0, skips=((1, 3),)),
)
SMALL_BOXES = (Case(3, (32, 32), 1.0), Case(4, (16, 16), 1.0), Case(5, (12, 12), 1.0), Case(6, (20,), 1.0))
ARCHITECTURES = (
    *PLANE,
    *SMALL_BOXES,
    Case(2, (16, 16)),
    Case(2, (64, 64, 64)),
    Case(2, (64, 64, 64), skips=((1, 3),)),
    Case(3, (32, 32)),
    Case(4, (16, 16)),
    Case(5, (12, 12)),
    Case(6, (12, 12)),
    Case(8, (10, 10)),
    Case(10, (12, 12), 1.0),
    Case(16, (12, 12), 1.0),
    Case(32, (12, 12), 1.0),
)
# With more inputs R^d holds millions of regions of such networks.
EVERYWHERE = tuple(replace(case, half_width=None) for case in ARCHITECTURES if case.inputs <= 5)

# How the cost of a region grows with one thing at a time.
SWEEPS = {
    "regions": tuple(_square(2, 32, 3, half_width) for half_width in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)),
    "width": tuple(_square(2, width, 2) for width in (8, 16, 32, 64, 128)),
    "depth": tuple(_square(2, 16, depth) for depth in (1, 2, 3, 4, 6)),
    "dimension": tuple(_square(inputs, 12, 2, 1.0) for inputs in (2, 3, 4, 6, 8, 12)),
    "skips": tuple(_square(2, 16, 5, n_skips=n_skips) for n_skips in (0, 1, 3, 6)),
}

# Chains on all of R^d, which the other programs do, with at least a thousand regions each (but not in a hurry).
PEERS = (Case(2, (6, 6), None),) if QUICK else (Case(2, (24, 24), None), Case(3, (20,), None))
# Vertices and edges in a box, by edge subdivision.
SUBDIVIDED = (Case(2, (8, 8), 1.0),) if QUICK else (*PLANE[1:4:2], *SMALL_BOXES)
# What a plain loop does in the time.
PLAIN = (Case(2, (16, 16)), Case(3, (32, 32)), Case(4, (16, 16)))

# Predictions: the network of the targets, wider and narrower ones, and more inputs.
PREDICTION = (
    (Case(2, (8, 8)),)
    if QUICK
    else (
        *(Case(2, (width,) * 3) for width in (4, 8, 16, 32, 64, 128)),
        Case(3, (32, 32)),
        Case(4, (16, 16)),
        Case(6, (12, 12)),
    )
)
