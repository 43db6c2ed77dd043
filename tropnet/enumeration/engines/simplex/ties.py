"""Hyperplanes that touch the cell of the simplex engine, proven so by residues; compiled."""

from __future__ import annotations

from typing import Any

from tropnet.enumeration.engines.residues import are_multipliers, is_zero_row
from tropnet.enumeration.engines.simplex.cell import HAS_VERTEX, NONE, SIGN, Y, find_prices, multiplier_error
from tropnet.kernels import compiled


@compiled()
def passes_through_face(problem: Any, rows: Any, cell: Any, tree: Any, residues: Any, layer: int, j: int) -> bool:
    """Return whether neuron j, after `decide`, is proven to touch the cell at its vertex, and not to cut it.

    Its row is a combination of those of the basis and h; it passes by if the multiplier of h is 0, exactly, and each
    other one is 0 exactly or positive by more than its error.
    """
    D, at, vectors = cell.T.shape[0], cell.at, cell.vectors
    if not at[HAS_VERTEX] or at[SIGN] == 0 or residues.primes.shape[0] == 0:
        return False
    n_neurons = tree.layer_of.shape[0]
    find_prices(cell.vectors, cell.T)
    for k in range(D - 1):
        if cell.basis[k] == NONE:
            return False
    bound = multiplier_error(cell)
    for k in range(D - 1):
        if not vectors[Y, k] >= -bound:
            return False
        row = cell.basis[k]
        # Sides of a box come in the order of the domain's rows.
        residues.chosen[0, k] = cell.owner[row] if row >= 0 else n_neurons - 1 - row
        residues.chosen[2, k] = vectors[Y, k] > bound
    return bool(are_multipliers(problem, rows, residues, tree.bits, layer, j))


@compiled()
def vanishes(problem: Any, rows: Any, cell: Any, tree: Any, residues: Any, layer: int, j: int) -> bool:
    """Return whether neuron j is proven to be 0 on all of the cell; then its `sign` is set to that of bit 0."""
    if is_zero_row(problem, rows, residues, tree.bits, layer, j):
        cell.at[SIGN] = -1
        return True
    return False
