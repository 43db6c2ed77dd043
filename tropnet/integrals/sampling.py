"""Integrals estimated from random points, for more inputs than regions can be integrated over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError
from tropnet.exact.linear_programs import maximise
from tropnet.feasibility import Feasible, deciding_backend
from tropnet.integrals.density import Density
from tropnet.integrals.results import Measured
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network

__all__ = ["Sample"]


class Sample:
    """Points drawn from a density, in a box around the domain, and the outputs there.

    Parameters
    ----------
    net, domain
        The domain is a bounded box, or a bounded polytope with interior.
    densities
        Of some inputs; the others are uniform.
    n
        The number of points.
    seed
        Of the random numbers.

    Attributes
    ----------
    z
        float64, shape (n, d + m + 1): inputs, outputs, 1.
    inside
        bool, shape (n,): which points lie in the domain.
    mass
        The integral of the density over the box.
    """

    def __init__(self, net: Network, domain: Domain, densities: Sequence[Density], n: int, seed: int) -> None:
        rng, d = np.random.default_rng(seed), net.n_inputs
        low, high = (domain.low, domain.high) if isinstance(domain, Box) else _bounding_box(domain)
        drawn = {density.index: density for density in densities}
        self.z, self.mass = np.ones((n, d + net.n_outputs + 1)), 1.0
        for i, (start, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            density = drawn.get(i)
            if start == end:
                self.z[:, i], mass = start, 1.0 if density is None else float(density(np.array(start)))
            elif density is None:
                self.z[:, i], mass = rng.uniform(start, end, n), end - start
            else:
                self.z[:, i], mass = density.draw(start, end, n, rng)
            self.mass *= mass
        for part in chunks(n, d + net.n_outputs + net.n_neurons):
            self.z[part, d:-1] = net(self.z[part, :d])
        self.inside: BoolArray = np.ones(n, np.bool_) if isinstance(domain, Box) else domain.contains(self.z[:, :d])

    def integrals(self, z: FloatArray) -> Measured:
        """Return the integrals of all products of two of the entries of z (n, k), with standard errors."""
        n = len(z)
        means = z.T @ z / n
        squares = (z * z).T @ (z * z) / n
        # A mean that is the same for all points has no error but that of rounding.
        deviations = np.sqrt(np.maximum(squares - means**2, 0.0) / (n - 1))
        return Measured(self.mass * means, self.mass * deviations, is_proven=False)


def _bounding_box(domain: Domain) -> tuple[FloatArray, FloatArray]:
    """Return a box around a bounded polytope, larger by rounding."""
    backend = deciding_backend(domain.dimension)
    for row in domain.integer_rows:
        backend.push(row)
    inside = backend.decide()
    if not isinstance(inside, Feasible):
        raise DomainError(
            "integrals over more than five inputs are estimated from random points, which a polytope without interior"
            " holds none of; give a Box with low = high in the inputs that are fixed, or exact=True."
        )
    sides = []
    for row in np.eye(domain.dimension, domain.dimension + 1, dtype=np.int64).astype(object):
        ends = [sign * float(maximise(domain.integer_rows, inside.witness, sign * row).value) for sign in (-1, 1)]
        sides.append((np.nextafter(ends[0], -np.inf), np.nextafter(ends[1], np.inf)))
    low, high = np.array(sides).T
    return low, high
