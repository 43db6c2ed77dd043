"""Comparing an imported network with the model that it was read from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.network.network import Network

__all__ = ["verify"]

_CHECKED_POINTS = 8
_RELATIVE_ERROR = 1e-10
_ROUNDING = 1e-13


def verify(
    network: Network,
    outputs: Callable[[FloatArray], FloatArray],
    terms: Callable[[FloatArray], FloatArray] | None,
    name: str,
    remedy: str,
    relative_error: float = _RELATIVE_ERROR,
    rounding: float = _ROUNDING,
    taken: Callable[[FloatArray], FloatArray] = lambda points: points,
) -> None:
    """Compare a network with a model at random points.

    Parameters
    ----------
    outputs
        The model's outputs (n, n_outputs) at points (n, d).
    terms
        A further bound on the sizes of the terms of the model's sums at points, if one is known.
    name, remedy
        What the model is called in a message, and what to do.
    relative_error, rounding
        Allowed is relative_error times the output, plus rounding times a bound on the terms of the
        sums that the network computes, to which the rounding of either is relative.
    taken
        Gives the points nearest to some that the model's type of number can hold.

    Raises
    ------
    TropnetError
        They differ by more.
    NonFiniteError
        The network overflows.
    """
    points = np.random.default_rng(0).normal(size=(_CHECKED_POINTS, network.n_inputs))
    points[::2] *= 10
    points = taken(points)
    with np.errstate(all="ignore"):
        expected, found = outputs(points), network(points)
        if expected.shape != found.shape:
            raise TropnetError(
                f"the network must give {name}'s outputs, but it gives {found.shape[1]} per input and not"
                f" {expected.shape[1:]}. {remedy}"
            )
        error = np.abs(found - expected)
        sizes = _sizes(network, points)
        if terms is not None:
            sizes = np.fmax(sizes, terms(points))
        allowed = relative_error * np.abs(expected) + rounding * sizes
        # No network has an output that is infinite or not a number.
        wrong = ~(error <= allowed) | ~np.isfinite(expected)
    if wrong.any():
        point, output = np.argwhere(wrong)[0].tolist()
        raise TropnetError(
            f"the network must give {name}'s outputs, but at x = {_listed(points[point])} output {output} differs"
            f" by {error[point, output]:.3g} (allowed {allowed[point, output]:.3g}). {remedy}"
        )


def _sizes(network: Network, points: FloatArray) -> FloatArray:
    """Return the outputs with absolute values everywhere, so that nothing cancels."""
    outputs = [np.abs(points)]
    total = outputs[0]
    for layer in network.layers:
        total = np.broadcast_to(np.abs(layer.bias), (len(points), layer.width))
        for source, weight in layer.weights.items():
            total = total + np.asarray(outputs[source] @ abs(weight).T)
        outputs.append(np.abs(np.asarray(layer.slopes)).max(axis=1) * total)
    return np.asarray(total)


def _listed(point: FloatArray) -> str:
    return str(point.tolist()) if len(point) <= 8 else f"{point[:8].tolist()[:-1]}, ..."  # the first are enough
