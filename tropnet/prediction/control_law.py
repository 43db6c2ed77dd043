"""Control laws in the form that programs for explicit model predictive control read: H x <= k, u = F x + g."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from tropnet.archives import archive_bytes, write_atomically
from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.prediction.predictor import check_all_regions
from tropnet.regions import Regions
from tropnet.regions.halfspaces import compose_rows

__all__ = ["export_mpc"]

_KIND = "control law"
_VERSION = 1
# What the numbers of a row may be off before it is composed exactly.
_ACCURACY = 1e-12


def export_mpc(regions: Regions, path: str | os.PathLike[str]) -> None:
    """Write regions and affine maps as programs for explicit model predictive control (MPC) read a control law.

    A region is {x : H x <= k}, with one row of length 1 for each facet, and u = F x + g there. A ``.mat`` file holds
    cells ``H{i}``, ``k{i}``, ``F{i}`` and ``g{i}`` for MATLAB and Octave; an ``.npz`` file the rows of all regions,
    one below the other, and `offsets`. Both hold the domain, too: `domain_H` and `domain_k`. See `docs/files.md` for
    all arrays, and `docs/guide/export.md` for how the Multi-Parametric Toolbox and others take them.

    Parameters
    ----------
    regions
        All activation regions in a bounded domain with interior: ``tropnet.enumerate_regions(net, domain)``, at best
        with ``facets=True``.
    path
        The file, ``*.mat`` or ``*.npz``; it is written whole or not at all.

    Raises
    ------
    TypeError
        They are no `Regions`.
    TropnetError
        They are not complete.
    DomainError
        The domain is unbounded, or of lower dimension: such programs want polytopes with interior.
    ValueError
        The suffix is another one.
    OSError
        The file cannot be written.

    Notes
    -----
    Regions touch and do not overlap; regions whose maps are equal are not merged. Which rows define facets is decided
    exactly. Rows are composed with about 30 digits, or exactly where that does not prove 1e-12 of their length (of k,
    of the largest coordinate of a witness), then divided by their length and rounded; maps are those of
    `Regions.affine_maps`.

    Costs what `Regions.facets` does if they are not known, and some 60 microseconds a region for a ``.mat`` file,
    20 for an ``.npz`` file.

    References
    ----------
    The form is that of M. Herceg, M. Kvasnica, C. N. Jones and M. Morari, Multi-Parametric Toolbox 3.0, Proceedings of
    the European Control Conference, 2013, pages 502-510.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tropnet import Box, Network, enumerate_regions
    >>> net = Network.mlp([[[2.0], [-2.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "law.npz")
    ...     export_mpc(enumerate_regions(net, Box(-1, 1)), path)
    ...     law = dict(np.load(path))
    >>> first = slice(*law["offsets"][:2])
    >>> law["H"][first].tolist(), law["k"][first].tolist(), law["F"][0].tolist(), law["g"][0].tolist()
    ([[-1.0], [1.0]], [1.0, 0.0], [[-2.0]], [0.5])
    """
    check_all_regions(regions, "a control law")
    suffix = Path(path).suffix.lower()
    if suffix not in (".mat", ".npz"):
        raise ValueError(f"path must end in .mat or .npz, got '{os.fspath(path)}'.")
    domain = regions.domain
    if regions.restriction is not None:
        raise DomainError(
            f"a control law needs a domain with interior, got {domain}; take net.restrict(origin, basis) on a box."
        )
    if not Polyhedron(domain.integer_rows).is_bounded():
        raise DomainError(f"a control law needs a bounded domain, got {domain}; enumerate in a tropnet.Box.")
    H, k, offsets = _facet_rows(regions)
    F, g = regions.affine_maps()
    domain_H, domain_k = _of_length_one(*domain.halfspaces)
    whole: dict[str, NDArray[Any]] = {
        "domain_H": domain_H,
        "domain_k": domain_k,
        "fingerprint": np.array(regions.network.fingerprint),
    }
    if suffix == ".npz":
        data = archive_bytes(_KIND, _VERSION, {"H": H, "k": k, "offsets": offsets, "F": F, "g": g, **whole})
        write_atomically(path, lambda file: file.write(data))
        return
    between = offsets[1:-1]
    cells = {"H": np.split(H, between), "k": np.split(k[:, None], between), "F": list(F), "g": list(g[:, :, None])}
    law: Mapping[str, Any] = {
        "tropnet_kind": _KIND,
        "tropnet_version": float(_VERSION),
        **{name: _cells(arrays) for name, arrays in cells.items()},
        **whole,
    }
    write_atomically(path, lambda file: savemat(file, law, do_compression=True, oned_as="column"))


def _facet_rows(regions: Regions) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Return the rows (H, k) that define facets, of length 1, and offsets of the regions (R + 1,)."""
    found, names, offsets = compose_rows(
        regions.network, regions.domain, regions.packed, regions.packed_cuts, twofold=True
    )
    facets = regions.facets()
    # One number for each row of each region.
    lowest = min(int(names.min(initial=0)), 0)
    span = int(names.max(initial=0)) - lowest + 1
    owners, facet_owners = (np.repeat(np.arange(len(regions)), np.diff(each)) for each in (offsets, facets.offsets))
    kept = np.isin(owners * span + names - lowest, facet_owners * span + facets.rows - lowest)
    rows, owners = found.high[kept], owners[kept]
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(rows[:, :-1], axis=1)
        reach = np.abs(regions.witnesses).max()
        sure = (found.error[kept] <= _ACCURACY * lengths[:, None] * [1.0, reach]).all(axis=1)
    for i in np.unique(owners[~sure]).tolist():
        region = regions[i]
        at = region.facets()
        rows[owners == i] = np.column_stack([region.A[at], region.b[at]])
    H, k = _of_length_one(rows[:, :-1], rows[:, -1])
    return H, k, facets.offsets


def _of_length_one(A: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rows divided by their lengths."""
    # First by their largest entry: squares may overflow or underflow.
    largest = np.abs(A).max(axis=1, initial=0.0, keepdims=True)
    scaled = A / largest
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / lengths + 0.0, b / largest[:, 0] / lengths[:, 0] + 0.0


def _cells(arrays: list[FloatArray]) -> NDArray[Any]:
    """Return a column of arrays, which MATLAB reads as cells."""
    column = np.empty((len(arrays), 1), dtype=object)
    column[:, 0] = arrays
    return column
