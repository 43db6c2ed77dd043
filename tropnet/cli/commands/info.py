"""`tropnet info`: what a network is, and how many regions it could have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import tropnet as tn
from tropnet.cli.options import network_argument, output_options
from tropnet.cli.printing import MANY_DIGITS, print_json

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["info"]


@click.command()
@network_argument
@output_options
def info(path: str, reading: dict[str, Any], as_json: bool) -> None:
    """Describe NET: shape, skips, activations, parameters, upper bounds on the number of activation regions.

    \b
    Examples:
      tropnet info phi_1.npz
      tropnet info phi_1.npz --json
    """
    from tropnet.network.bounds import rounded_up

    net = tn.load(path, **reading)
    activations = [_activations(layer.slopes) for layer in net.hidden]
    bounds = tn.region_bounds(net)._asdict()
    record = {
        "n_inputs": net.n_inputs,
        "hidden_widths": list(net.widths),
        "n_outputs": net.n_outputs,
        "n_neurons": net.n_neurons,
        "skips": [list(skip) for skip in net.skips],
        "activations": activations,
        "n_parameters": _n_parameters(net),
        "region_bounds": bounds,
        "largest_weight": max(float(abs(w).max()) for layer in net.layers for w in layer.weights.values()),
        "fingerprint": net.fingerprint,
    }
    if as_json:
        record["region_bounds"] = {
            name: number if number < 10**MANY_DIGITS else rounded_up(number) for name, number in bounds.items()
        }
        print_json(record)
        return
    for name, value in record.items():
        text = "" if name == "region_bounds" else str(value)
        if name == "skips":
            text = ", ".join(f"{k}-{index}" for k, index in net.skips) or "none"
        if name == "activations":
            text = "; ".join(activations)
        if name == "region_bounds":
            text = "; ".join(f"{bound} {rounded_up(number)}" for bound, number in bounds.items())
        click.echo(f"{name.replace('_', ' '):16} {text}")


def _activations(slopes: ArrayLike) -> str:
    import numpy as np

    names = {(0.0, 1.0): "ReLU", (-1.0, 1.0): "absolute value"}
    kinds, counts = np.unique(np.asarray(slopes), axis=0, return_counts=True)
    parts = []
    for (neg, pos), n in zip(kinds.tolist(), counts.tolist(), strict=True):
        name = "affine" if neg == pos else names.get((neg, pos), f"slopes {neg:g}, {pos:g}")
        parts.append(f"{n} {name}")
    return ", ".join(parts)


def _n_parameters(net: tn.Network) -> int:
    """Count weights once that several sources share, as a skip shares the main path's."""
    shared = ({id(w): w.size for w in layer.weights.values()} for layer in net.layers)
    return sum(layer.bias.size for layer in net.layers) + sum(sum(sizes.values()) for sizes in shared)
