"""Facets of single polyhedra by rays and multipliers, as in hundreds of dimensions, against one decision a row."""

import numpy as np
import pytest

from tests.oracles.fourier_motzkin import has_interior
from tropnet.geometry.facets import FACET, IMPLIED
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.geometry.rays import facets_of_one


def square(rng, d, n):
    """Return a box with small integer rows around 0: parallel ones, some that touch a corner, and doubles."""
    rows = [[*(sign * (k == j) for j in range(d)), 2] for k in range(d) for sign in (1, -1)]
    while len(rows) < n:
        a = rng.integers(-2, 3, size=d).tolist()
        if any(a):
            # At 2 |a|_1 it touches the box in a face or corner, at less it cuts.
            rows.append([*a, int(rng.integers(1, 2 * sum(map(abs, a)) + 3))])
    return np.array([*rows, rows[-1], rows[0]], dtype=object)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_proven_is_true(seed):
    """A facet has points beyond it alone; a row that does not touch has none even if it is moved in a little."""
    rng = np.random.default_rng(seed)
    d = 2 + seed % 2
    rows = square(rng, d, 2 * d + 4)
    polyhedron = Polyhedron(rows)
    known = facets_of_one(polyhedron.from_inside(), polyhedron.extent())
    for i, row in enumerate(rows.tolist()):
        # a x + c > 0 is -a x < c.
        others = [([-a for a in other], c) for j, (*other, c) in enumerate(rows.tolist()) if j != i]
        beyond = has_interior([*others, (row[:-1], -row[-1])])
        if known[i] == FACET:
            assert beyond
        elif known[i] == IMPLIED:
            assert not beyond
    assert (known != FACET)[[-1, -2]].all()
    assert (known == FACET).any()


def test_facets_in_two_hundred_dimensions():
    """A cube with a cut corner and a row that misses it: 401 facets of 402 rows, in seconds."""
    d = 200
    cube = np.concatenate([np.eye(d, dtype=int), -np.eye(d, dtype=int)]).tolist()
    ones = [1] * d
    rows = np.array([[*row, 1] for row in cube] + [[*ones, d - 1], [*ones, d + 1]], dtype=object)
    assert Polyhedron(rows).facets().tolist() == list(range(401))
