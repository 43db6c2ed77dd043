"""Networks that people publish, from a folder, and networks full of ties, made here.

`TROPNET_MODELS` names the folder: ONNX files anywhere below it, and the properties of ACAS Xu as VNN-LIB files, as the
benchmarks of VNN-COMP have them (https://github.com/VNN-COMP/vnncomp2021 and later years). Without it, or where a file
is missing, these rows are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

import tropnet as tn

# The ranges of the five inputs of ACAS Xu, scaled as the networks take them (Katz et al., Reluplex, 2017).
_ACAS_LOW = (-0.328422877, -0.499999896, -0.499999896, -0.5, -0.5)
_ACAS_HIGH = (0.679857769, 0.499999896, 0.499999896, 0.5, 0.5)
_SIDE = re.compile(r"\(assert \((<=|>=) X_(\d+) (-?[\d.e-]+)\)\)")


@dataclass(frozen=True)
class Fixed:
    """One network on one domain, under the names that reports show; it serves wherever a `Case` does."""

    architecture: str
    where: str
    make: Callable[[], tn.Network]
    domain: tn.Domain

    def __str__(self) -> str:
        return f"{self.architecture}, {self.where}"

    @property
    def inputs(self) -> int:
        """Input dimension."""
        return self.domain.dimension

    def network(self, index: int = 0) -> tn.Network:  # noqa: ARG002 -- as `Case.network`
        """Make the network afresh: nothing that was found out about it before is known."""
        net = _made(self.make)
        return tn.Network(net.layers, net.n_inputs)


@cache
def _made(make: Callable[[], tn.Network]) -> tn.Network:
    return make()


def published(folder: str | os.PathLike[str] | None = None) -> list[Fixed]:
    """Return the published networks that are in a folder (default: `TROPNET_MODELS`)."""
    folder = folder or os.environ.get("TROPNET_MODELS")
    if not folder:
        return []
    files = {path.name: path for path in sorted(Path(folder).rglob("*")) if path.suffix in (".onnx", ".vnnlib")}
    cases = []
    acas = next((path for name, path in files.items() if name.startswith("ACASXU") and "_1_1_" in name), None)
    if acas is not None:
        domains = {f"property {k}": files.get(f"prop_{k}.vnnlib") for k in (3, 1)}
        boxes = {where: input_box(path.read_text()) for where, path in domains.items() if path is not None}
        boxes["all inputs"] = tn.Box(_ACAS_LOW, _ACAS_HIGH)
        cases += [Fixed("ACAS Xu 1_1", where, _Onnx(acas), box) for where, box in boxes.items()]
    for name, (inputs, low, high) in _UNSCALED.items():
        if f"{name}.onnx" in files:
            shown = name.split("_")[0] + (" " + name[-3:] if "instance" in name else "")
            where = "unit cube" if (low, high) == (0, 1) else f"half-width {high}"
            box = tn.Box(np.full(inputs, low), np.full(inputs, high))
            cases.append(Fixed(shown, where, _Onnx(files[f"{name}.onnx"]), box))
    return cases


# Controllers, a learned index, two-level lattices: number of inputs, and a box.
_UNSCALED = {
    "vdp": (3, 0, 1),
    "cartpole": (4, 0, 1),
    "lunarlander": (8, 0, 1),
    "lindex": (1, 0, 1),
    "tllBench_n=2_N=M=8_m=1_instance_0_0": (2, -2, 2),
    "tllBench_n=2_N=M=8_m=1_instance_0_2": (2, -2, 2),
}


@dataclass(frozen=True)
class _Onnx:
    """Reads a file."""

    path: Path

    def __call__(self) -> tn.Network:
        return tn.from_onnx(self.path)


def input_box(vnnlib: str) -> tn.Box:
    """Return the box of the inputs that a VNN-LIB file asserts.

    >>> input_box("(assert (<= X_0 0.5)) (assert (>= X_0 -1))")
    Box([-1.0], [0.5])
    """
    sides: dict[str, dict[int, float]] = {">=": {}, "<=": {}}
    for sense, i, value in _SIDE.findall(vnnlib):
        sides[sense][int(i)] = float(value)
    low, high = (np.array([side[i] for i in range(len(side))]) for side in (sides[">="], sides["<="]))
    return tn.Box(low, high)


# --- ties


def quantised() -> tn.Network:
    """Make a random 3-16-16 network with weights of few bits, as int8 quantisation leaves them: many planes concur."""
    net = tn.Network.random([3, 16, 16, 1], seed=0)
    layers = [(layer.weights[i], layer.bias) for i, layer in enumerate(net.layers)]
    rounded = [[np.round(part * 16 / np.abs(weight).max()) for part in (weight, bias)] for weight, bias in layers]
    return tn.Network.mlp([weight for weight, _ in rounded], [bias for _, bias in rounded])


def duplicated() -> tn.Network:
    """Make a random 3-16-16 network in which every neuron of the first layer is there twice."""
    net = tn.Network.random([3, 8, 16, 1], seed=0)
    (first, a), (second, b), (last, c) = ((layer.weights[i], layer.bias) for i, layer in enumerate(net.layers))
    return tn.Network.mlp(
        [np.repeat(first, 2, axis=0), np.repeat(second, 2, axis=1) / 2, last], [np.repeat(a, 2), b, c]
    )


def resonance(d: int) -> tn.Network:
    """Make all hyperplanes through 0 with normals of zeros and ones: 2, 6, 32, 370, 11,292 regions (OEIS A034997)."""
    rows = np.array([row for row in product((0.0, 1.0), repeat=d) if any(row)])
    return tn.Network.mlp([rows, np.ones((1, len(rows)))], [np.zeros(len(rows)), np.zeros(1)])


def resonance_of_five() -> tn.Network:
    """Make the resonance arrangement in five dimensions, of 11,292 regions."""
    return resonance(5)


def deep() -> tn.Network:
    """Make a hundred layers of one neuron each."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 1.5, size=(1, 2)), *rng.uniform(0.5, 1.5, size=(100, 1, 1))]
    return tn.Network.mlp(weights, [*rng.uniform(-0.01, 0.01, size=(100, 1)), np.zeros(1)])


TIES = (
    Fixed("3-16-16, int8", "half-width 1", quantised, tn.Box([-1] * 3, 1)),
    Fixed("3-16-16, duplicates", "half-width 1", duplicated, tn.Box([-1] * 3, 1)),
    Fixed("resonance, 5 inputs", "half-width 1", resonance_of_five, tn.Box([-1] * 5, 1)),
    Fixed("2-1-1-...-1 (100 layers)", "half-width 1", deep, tn.Box([-1] * 2, 1)),
)
