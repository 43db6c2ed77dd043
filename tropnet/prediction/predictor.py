"""A network compiled into a search tree over all of its activation regions."""

from __future__ import annotations

import json
import os
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.domain import Box, Domain, domain_from
from tropnet.dyadic import FloatArray
from tropnet.enumeration import enumerate_regions
from tropnet.errors import DomainError, FileFormatError, TooLargeError, TropnetError
from tropnet.network import Network
from tropnet.points import as_points
from tropnet.prediction.descent import OUTSIDE, count_comparisons, descend
from tropnet.prediction.grid import MAX_DIMENSION, Grid, cover
from tropnet.prediction.tree import Tree, balanced_tree, shared
from tropnet.regions import Regions

__all__ = ["CompiledPredictor", "TreeSize", "compile_regions"]

_KIND = "compiled predictor"
_VERSION = 1
# What the kernel reads, as it stands in the file.
_ARRAYS = ("rows", "children", "roots", "grid", "maps")
# More boxes make shallower trees in more memory; beyond this a point costs no less.
_CELLS_PER_REGION = {1: 16, 2: 16, 3: 4}
_MOST_CELLS = 1 << 22
_LARGEST = float(np.finfo(np.float64).max)
_FAR = 1e100
# Points that go down the tree together.
_BLOCK = 128
Outside = Literal["raise", "network"]


class TreeSize(NamedTuple):
    """How large a compiled predictor is, and what a point costs.

    Attributes
    ----------
    n_regions, n_maps
        Activation regions, and different affine maps among them.
    n_nodes, n_cells
        Nodes stored, and boxes of the grid (1 without a grid).
    depth, mean_depth
        Comparisons at the deepest of the regions' witnesses, and their mean over the witnesses.
    n_bytes
        Of the arrays.
    multiplications, network_multiplications
        A point's in the tree (mean, with the map at the leaf), and in a forward pass. Where the second is smaller, the
        tree cannot be faster.
    """

    n_regions: int
    n_maps: int
    n_nodes: int
    n_cells: int
    depth: int
    mean_depth: float
    n_bytes: int
    multiplications: float
    network_multiplications: int


class CompiledPredictor:
    """Evaluate a network by looking up the activation region of a point in a search tree.

    Made by `tropnet.compile_regions`, `from_regions` or `load`.

    Attributes
    ----------
    network, domain
        What it was compiled from.
    size
        Depth, nodes, memory and operations, see `TreeSize`.
    outside
        What a point outside the domain does: ``"raise"`` or ``"network"``. May be set.

    Notes
    -----
    Safe to call from several threads; the kernel releases the interpreter lock.
    """

    def __init__(
        self,
        network: Network,
        domain: Domain,
        arrays: dict[str, NDArray[Any]],
        size: TreeSize,
        outside: Outside = "raise",
    ) -> None:
        self.network, self.domain, self.size, self.outside = network, domain, size, outside
        self._arrays = arrays
        box, sides, bounded = _membership(domain)
        self._kernel = (*(arrays[name] for name in _ARRAYS[:-1]), box, sides, bounded, arrays["maps"])
        self._shape = (domain.dimension, network.n_outputs)

    @classmethod
    def from_regions(cls, regions: Regions, *, outside: Outside = "raise") -> CompiledPredictor:
        """Compile regions that are enumerated already; see `compile_regions`.

        Raises
        ------
        TropnetError
            The regions are not complete.
        """
        _check_outside(outside)
        if not regions.complete or not len(regions):
            raise TropnetError(
                f"a predictor needs all regions, got {regions}. Enumerate without max_regions, and without"
                " on_undecided='collect'."
            )
        weights, biases = regions.affine_maps()
        if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
            each = [regions.network.affine_map(pattern) for pattern in regions.patterns]
            weights, biases = np.stack([one.weight for one in each]), np.stack([one.bias for one in each])
        # One zero, so that equal maps have equal bytes.
        rows = np.concatenate([weights, biases[:, :, None]], axis=2) + 0.0
        _, first, leaf_of = np.unique(rows.reshape(len(rows), -1), axis=0, return_index=True, return_inverse=True)
        tree = shared(balanced_tree(regions, leaf_of.ravel()))
        d = regions.domain.dimension
        grid = Grid.none()
        if d <= MAX_DIMENSION:
            low, high = _central_box(regions)
            grid = Grid.over(low, high, min(_CELLS_PER_REGION[d] * len(regions), _MOST_CELLS))
            tree = shared(cover(tree, grid))
        arrays: dict[str, NDArray[Any]] = {
            "rows": _rows(tree, regions.domain),
            "children": tree.children,
            "roots": tree.roots,
            "grid": np.array(grid, dtype=np.float64),
            "maps": rows[first],
        }
        return cls(regions.network, regions.domain, arrays, _size(arrays, regions), outside)

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the outputs at one point (d,) or at many (n, d), as the network does, up to rounding.

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has another shape, or a coordinate is not finite.
        DomainError
            A point lies outside the domain, and `outside` is ``"raise"``.
        """
        d, n_outputs = self._shape
        if isinstance(x, np.ndarray) and x.dtype == np.float64 and x.flags.c_contiguous and x.shape[-1:] == (d,):
            # The kernel looks at each coordinate anyway: checking here would cost as much as all else.
            points, single = (x.reshape(1, d), True) if x.ndim == 1 else (x, False)
        else:
            points, single = as_points(x, d)
        if points.ndim != 2:
            points, single = as_points(x, d)
        n = len(points)
        outputs, states = np.empty((n, n_outputs)), np.empty(n, dtype=np.uint8)
        block = min(n, _BLOCK) or 1
        if descend(points, *self._kernel, outputs, states, np.empty((2, block), dtype=np.int64), np.empty(block)):
            self._settle(points, outputs, states)
        return outputs[0] if single else outputs

    def _settle(self, points: FloatArray, outputs: FloatArray, states: NDArray[np.uint8]) -> None:
        """Evaluate the network where the tree gave no answer."""
        as_points(points, self._shape[0])
        outside = np.flatnonzero(states == OUTSIDE)
        if len(outside) and self.outside == "raise":
            i = int(outside[0])
            raise DomainError(
                f"x must lie in the domain {self.domain}, got {points[i].tolist()} at point {i} ({len(outside)} such"
                f" point{'s' if len(outside) > 1 else ''}). Compile for a larger domain, or set outside='network'."
            )
        here = states != 0
        outputs[here] = self.network(points[here])

    def __repr__(self) -> str:
        size = self.size
        return f"CompiledPredictor({self.network} in {self.domain}: {size.n_regions} regions, {size.n_nodes} nodes)"

    # --- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write tree, network and domain to an `.npz` file (atomically, no pickle); `load` reads it."""
        header = {"domain": self.domain.description, "size": self.size._asdict(), "outside": self.outside}
        arrays: dict[str, NDArray[Any]] = {
            "network": np.frombuffer(self.network.to_bytes(), dtype=np.uint8),
            "header": np.array(json.dumps(header)),
        }
        data = archive_bytes(_KIND, _VERSION, arrays | self._arrays)
        write_atomically(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CompiledPredictor:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileFormatError
            The file is truncated, damaged, or was not written by `save`.
        """
        stored = read_archive(path, _KIND, _VERSION)
        try:
            header = json.loads(str(stored["header"]))
            _check_outside(header["outside"])
            network, domain = Network.load(stored["network"].tobytes()), domain_from(header["domain"])
            arrays = {name: stored[name] for name in _ARRAYS}
            _check_arrays(arrays, network, domain)
            return cls(network, domain, arrays, TreeSize(**header["size"]), header["outside"])
        except Exception as error:  # a damaged file can hold anything
            raise FileFormatError(f"'{os.fspath(path)}' is a damaged compiled predictor: {error}.") from error


def compile_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    outside: Outside = "raise",
    engine: str = "auto",
    workers: int | Executor = 1,
    max_regions: int | None = None,
    progress: bool = False,
) -> CompiledPredictor:
    """Compile a network into a search tree over its activation regions, for fast predictions.

    A point descends from the root, asking at each node on which side of one hyperplane it lies, to the affine map of
    its region: depth * d multiplications instead of a forward pass. The tree is balanced (about log2 R nodes to each of
    R regions); up to three inputs, a grid over small trees leaves a node or two. Subtrees and maps that are equal are
    stored once.

    Parameters
    ----------
    net
        The network.
    domain
        Where predictions are wanted, None for all of R^d.
    outside
        What a point outside the domain does: ``"raise"`` a `DomainError`, or ask the ``"network"``.
    engine, workers, progress
        As for `tropnet.enumerate_regions`.
    max_regions
        Give up where there are more.

    Returns
    -------
    CompiledPredictor
        Equal to the network everywhere in the domain, up to rounding: each comparison carries a bound on all rounding
        errors, those of the composed maps included, and a point nearer to a hyperplane than that is left to the
        network. So no point gets the map of another region.

    Raises
    ------
    TooLargeError
        There are more than `max_regions` regions.
    UnsupportedModuleError, DomainError, UndecidedError
        As for `tropnet.enumerate_regions`.
    ValueError
        `outside` is unknown.

    Notes
    -----
    Takes about (d + 6) * 8 bytes a region and as much again for the grid, and a few microseconds a region beyond the
    enumeration. It helps where a network of few inputs is asked often; one with few neurons is faster itself (see
    `TreeSize`), and one with many inputs has too many regions.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> predict = compile_regions(net, Box(-1, 1))
    >>> predict([[0.25], [-0.5]]), predict.size.n_regions, predict.size.n_maps
    (array([[0.75],
           [1.  ]]), 2, 2)
    """
    _check_outside(outside)
    regions = enumerate_regions(net, domain, engine=engine, workers=workers, max_regions=max_regions, progress=progress)
    if not regions.complete:
        raise TooLargeError(
            f"{net} has more than max_regions = {max_regions} activation regions in {regions.domain}; take a smaller"
            " domain, or tropnet.CachedPredictor, which keeps only the maps it meets."
        )
    return CompiledPredictor.from_regions(regions, outside=outside)


def _check_outside(outside: str) -> None:
    if outside not in get_args(Outside):
        raise ValueError(f"outside must be 'raise' or 'network', got {outside!r}.")


def _membership(domain: Domain) -> tuple[FloatArray, FloatArray, bool]:
    """Return the domain as a box (2, d) and rows (A | b), and whether the box is bounded."""
    d = domain.dimension
    if isinstance(domain, Box):
        box = np.array([domain.low, domain.high])
        finite = bool(np.isfinite(box).all())
        return np.clip(box, -_LARGEST, _LARGEST), np.empty((0, d + 1)), finite
    # Infinite points are in no domain.
    return np.array([[-_LARGEST] * d, [_LARGEST] * d]), np.column_stack(domain.halfspaces), False


def _rows(tree: Tree, domain: Domain) -> FloatArray:
    """Return (a | c) of each node, and a bound on its rounding: in a bounded box everywhere, else times 1 + max |x|."""
    by_size, constant = tree.functions[:, -2], tree.functions[:, -1]
    box, _, bounded = _membership(domain)
    with np.errstate(over="ignore", invalid="ignore"):
        bounds = by_size * np.abs(box).max() + constant if bounded else np.maximum(by_size, constant)
    return np.column_stack([tree.functions[:, :-2], bounds])[tree.asks]


def _central_box(regions: Regions) -> tuple[FloatArray, FloatArray]:
    """Return the domain if it is a bounded box, else a box that holds most of the witnesses."""
    box, _, bounded = _membership(regions.domain)
    if bounded:
        return box[0], box[1]
    # Unbounded regions may have theirs anywhere.
    points = np.clip(regions.witnesses, -_FAR, _FAR)
    low, high = np.quantile(points, [0.05, 0.95], axis=0)
    # One witness, or several in a plane.
    widths = np.maximum(high - low, 1e-6 * (1 + np.abs(points).max(axis=0)))
    return low - widths / 2, high + widths / 2


def _size(arrays: dict[str, NDArray[Any]], regions: Regions) -> TreeSize:
    """Return the size of a predictor."""
    counts = np.empty(len(regions), dtype=np.int64)
    count_comparisons(regions.witnesses, arrays["rows"], arrays["children"], arrays["roots"], arrays["grid"], counts)
    n_maps, n_outputs, columns = arrays["maps"].shape
    net = regions.network
    return TreeSize(
        n_regions=len(regions),
        n_maps=n_maps,
        n_nodes=len(arrays["rows"]),
        n_cells=max(1, len(arrays["roots"]) - 1),
        depth=int(counts.max()),
        mean_depth=float(counts.mean()),
        n_bytes=sum(array.nbytes for array in arrays.values()),
        multiplications=float(counts.mean() + n_outputs) * (columns - 1),
        network_multiplications=sum(weight.size for layer in net.layers for weight in layer.weights.values()),
    )


def _check_arrays(arrays: dict[str, NDArray[Any]], network: Network, domain: Domain) -> None:
    """Refuse arrays that would lead the kernel out of them.

    Raises
    ------
    ValueError
        A shape, a type or a number does not fit.
    """
    rows, children, roots, grid, maps = (arrays[name] for name in _ARRAYS)
    d = domain.dimension
    n, n_maps = len(rows), len(maps)
    fits = (
        all(array.dtype == np.float64 for array in (rows, grid, maps))
        and all(array.dtype == np.int32 for array in (children, roots))
        and network.n_inputs == d
        and rows.shape == (n, d + 2)
        and children.shape == (n, 2)
        and maps.shape == (n_maps, network.n_outputs, d + 1)
        and grid.ndim == roots.ndim + 1 == grid.shape[0] - 1 == 2
        and grid.shape[1] in (0, d)
        and bool(np.all(grid[2] >= 1))
        and len(roots) == (grid[2].prod() + 1 if grid.shape[1] else 1)
    )
    # Children come later than their parents, or the descent might not end.
    later = fits and np.all((children < 0) | (children > np.arange(n)[:, None]))
    ends = [int(array.min(initial=-1)) for array in (children, roots)] if fits else []
    if not (later and roots.max() < n and children.max(initial=-1) < n and all(~end < n_maps for end in ends)):
        raise ValueError("its tree does not fit together")
