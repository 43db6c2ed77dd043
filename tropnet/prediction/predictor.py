"""A network compiled into a search tree over all of its activation regions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.archives import archive_bytes, read_archive, undamaged, write_atomically
from tropnet.arrays.checks import as_points
from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray
from tropnet.enumeration import enumerate_regions
from tropnet.errors import DomainError, TooLargeError, TropnetError
from tropnet.network.domain import Box, Domain, domain_from
from tropnet.network.network import Network
from tropnet.prediction.descent import DONE, OUTSIDE, count_comparisons, descend
from tropnet.prediction.grid import MAX_DIMENSION, Grid, cover
from tropnet.prediction.tree import Tree, balanced_tree, shared
from tropnet.regions import Regions

__all__ = ["CompiledPredictor", "TreeSize", "check_all_regions", "compile_regions", "membership"]

_KIND = "compiled predictor"
_VERSION = 1
# What the kernel reads, as it stands in the file.
_ARRAYS = ("rows", "children", "roots", "grids", "unit", "maps")
# More boxes make shallower trees in more memory; beyond this a point costs no less.
_CELLS_PER_REGION = {1: 16, 2: 16, 3: 4}
_MOST_CELLS = 1 << 22
# Long strips cross many boxes: then larger boxes must do.
_NODES_PER_REGION = 48
_MOST_NODES = 1 << 30
# The share of a bounded box from which a grid of its own for what is busy in it does not pay.
_BUSY = 0.5
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
        Nodes stored, and boxes of the grids (0 without one).
    depth, mean_depth
        Comparisons at the regions' witnesses: the most, and the mean, in which every region counts the same, however
        large. Points drawn from the domain mostly lie in large regions, and take fewer.
    n_bytes
        Of the arrays.
    multiplications, network_multiplications
        A point's in the tree (mean over the regions, with the map at the leaf), and in a forward pass. A forward pass
        of many points does ten times as many in the same time, by vectors.
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
    arrays
        Tree, grids and maps, by name, as `save` writes them.
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
        arrays: Mapping[str, NDArray[Any]],
        size: TreeSize,
        outside: Outside = "raise",
    ) -> None:
        # One layout, since the kernel is compiled for each.
        self.arrays = {name: np.ascontiguousarray(arrays[name]) for name in _ARRAYS}
        _check_arrays(self.arrays, network, domain)
        self.network, self.domain, self.size, self.outside = network, domain, size, outside
        *tree, unit, maps = self.arrays.values()
        self._kernel = (*tree, *membership(domain), float(unit[0]), maps)
        self._shape = (domain.dimension, network.n_outputs)

    @classmethod
    def from_regions(cls, regions: Regions, *, outside: Outside = "raise") -> CompiledPredictor:
        """Compile regions that are enumerated already; see `compile_regions`.

        Raises
        ------
        TypeError
            They are no `Regions`.
        TropnetError
            They are not complete.
        """
        check_all_regions(regions, "a predictor")
        restriction = regions.restriction
        if restriction is not None and not restriction.holds_floats:
            raise DomainError(
                f"a predictor needs a domain of float64 points, which {regions.domain} is not: it is of lower"
                " dimension, and its affine hull is not parallel to axes at float64 numbers; compile"
                " net.restrict(origin, basis)."
            )
        weights, biases = regions.affine_maps()
        # One zero, so that equal maps have equal bytes.
        rows = np.concatenate([weights, biases[:, :, None]], axis=2) + 0.0
        _, first, leaf_of = np.unique(rows.reshape(len(rows), -1), axis=0, return_index=True, return_inverse=True)
        tree = balanced_tree(regions.within, leaf_of.ravel())
        if restriction is not None:
            tree = tree._replace(functions=restriction.function(tree.functions))
        tree = shared(tree)
        low, high = _central_box(regions)
        grids: list[Grid] = []
        if regions.domain.dimension <= MAX_DIMENSION and restriction is None:
            for box in _boxes(regions.domain, low, high):
                tree, grids = _covered(tree, grids, box, len(regions))
        unit = float(np.abs([low, high]).max()) or 1.0
        arrays: dict[str, NDArray[Any]] = {
            "rows": _rows(tree, unit),
            "children": tree.children,
            "roots": tree.roots,
            "grids": np.array(grids, dtype=np.float64).reshape(len(grids), 3, len(low)),
            "unit": np.array([unit]),
            "maps": rows[first],
        }
        return cls(regions.network, regions.domain, arrays, _size(arrays, regions), outside)

    @property
    def outside(self) -> Outside:
        """What a point outside the domain does."""
        return self._outside

    @outside.setter
    def outside(self, value: Outside) -> None:
        if value not in get_args(Outside):
            raise ValueError(f"outside must be 'raise' or 'network', got {value!r}.")
        self._outside = value

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
        if (
            isinstance(x, np.ndarray)
            and x.dtype == np.float64
            and x.shape[-1:] == (d,)
            and x.ndim <= 2
            and x.flags.c_contiguous
            and x.flags.writeable
        ):
            # The kernel looks at each coordinate anyway: checking here would cost as much as all else.
            points, single = x.reshape(-1, d), x.ndim == 1
        else:
            points, single = as_points(x, d)
            points = points.copy()
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
        here = states != DONE
        outputs[here] = self.network(points[here])

    def __repr__(self) -> str:
        size = self.size
        return f"CompiledPredictor({self.network} in {self.domain}: {size.n_regions} regions, {size.n_nodes} nodes)"

    # --- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write tree, network and domain to an `.npz` file (atomically, no pickle); `load` reads it."""
        header = {"domain": self.domain.description, "size": self.size._asdict(), "outside": self.outside}
        network = self.network.to_bytes()
        arrays: dict[str, NDArray[Any]] = {
            "network": np.frombuffer(network, dtype=np.uint8),
            "header": np.array(json.dumps(header)),
            "digest": np.array(_digest(header, network, self.arrays)),
        }
        data = archive_bytes(_KIND, _VERSION, arrays | self.arrays)
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
        with undamaged(path, "compiled predictor"):
            header, network = json.loads(str(stored["header"])), stored["network"].tobytes()
            arrays = {name: stored[name] for name in _ARRAYS}
            if str(stored["digest"]) != _digest(header, network, arrays):
                raise ValueError("its contents do not match their checksum")
            domain = domain_from(header["domain"])
            size = TreeSize(*(header["size"][name] for name in TreeSize._fields))
            return cls(Network.load(network), domain, arrays, size, header["outside"])


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
    R regions); up to three inputs, a grid over small trees leaves a few. Subtrees and maps that are equal are stored
    once.

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
    Takes 8 (d + 3) + 8 n_outputs (d + 1) bytes a region, with a grid in the plane about twice and in space three times
    that, and some 50 microseconds a region beyond the enumeration, more with many outputs. It helps where a network of
    few inputs is asked often (measured in ``docs/speed.md``); one with few neurons is faster itself, and one with many
    inputs has too many regions.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> predict = compile_regions(net, Box(-1, 1))
    >>> predict([[0.25], [-0.5]]), predict.size.n_regions, predict.size.n_maps
    (array([[0.75],
           [1.  ]]), 2, 2)
    """
    if outside not in get_args(Outside):
        raise ValueError(f"outside must be 'raise' or 'network', got {outside!r}.")
    regions = enumerate_regions(net, domain, engine=engine, workers=workers, max_regions=max_regions, progress=progress)
    if not regions.complete:
        raise TooLargeError(
            f"{net} has more than max_regions = {max_regions} activation regions in {regions.domain}; take a smaller"
            " domain, or tropnet.CachedPredictor, which keeps only the maps it meets."
        )
    return CompiledPredictor.from_regions(regions, outside=outside)


def check_all_regions(regions: Any, what: str) -> None:
    """Refuse what are not all regions of a network in a domain, which `what` needs.

    Raises
    ------
    TypeError
        They are no `Regions`.
    TropnetError
        They are not complete.
    """
    if not isinstance(regions, Regions):
        raise TypeError(
            f"regions must be a tropnet.Regions, got {type(regions).__name__}; see tropnet.enumerate_regions."
        )
    if not regions.complete or not len(regions):
        raise TropnetError(
            f"{what} needs all regions, got {regions}. Enumerate without max_regions, and without"
            " on_undecided='collect'."
        )


def membership(domain: Domain) -> tuple[FloatArray, FloatArray]:
    """Return the domain as a box (2, d) and rows (A | b); infinite points are in no domain."""
    d = domain.dimension
    if isinstance(domain, Box):
        return np.clip(np.array([domain.low, domain.high]), -LARGEST, LARGEST), np.empty((0, d + 1))
    return np.array([[-LARGEST] * d, [LARGEST] * d]), np.column_stack(domain.halfspaces)


def _central_box(regions: Regions) -> tuple[FloatArray, FloatArray]:
    """Return a box that holds most of the witnesses; those of regions that reach far may be anywhere.

    What lies beyond the outer fences (three interquartile ranges from the quartiles: Tukey, Exploratory Data Analysis,
    1977, section 2D) is left out, and a twentieth at either end.
    """
    points = np.clip(regions.witnesses, -_FAR, _FAR)
    low, first, third, high = np.quantile(points, [0.05, 0.25, 0.75, 0.95], axis=0)
    fence = 3.0 * (third - first)
    low, high = np.maximum(low, first - fence), np.minimum(high, third + fence)
    # One witness, or several in a plane.
    widths = np.maximum(high - low, 1e-6 * (1 + np.abs(points).max(axis=0)))
    box = membership(regions.domain)[0]
    return np.maximum(low - widths / 2, box[0]), np.minimum(high + widths / 2, box[1])


def _boxes(domain: Domain, low: FloatArray, high: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Return the boxes to lay grids over, the smallest last: the domain if it is bounded, and what is busy in it."""
    if not (isinstance(domain, Box) and np.isfinite([domain.low, domain.high]).all()):
        return [(low, high)]
    with np.errstate(over="ignore"):
        busy = np.prod((high - low) / (domain.high - domain.low))
    return [(domain.low, domain.high)] + ([(low, high)] if busy < _BUSY else [])


def _covered(
    tree: Tree, grids: list[Grid], box: tuple[FloatArray, FloatArray], n_regions: int
) -> tuple[Tree, list[Grid]]:
    """Return tree and grids with one more grid before the others, as fine as the number of nodes allows."""
    n_cells = min(_CELLS_PER_REGION[len(box[0])] * n_regions, _MOST_CELLS)
    most = min(_NODES_PER_REGION * n_regions, _MOST_NODES)
    while n_cells > 1:
        grid = Grid.over(*box, n_cells)
        found = None if grid is None else cover(tree, grid, most)
        if grid is not None and found is not None:
            return shared(found), [grid, *grids]
        n_cells //= 8
    return tree, grids


def _rows(tree: Tree, unit: float) -> FloatArray:
    """Return (a | c) of each node, and a bound on its rounding, to be multiplied by 1 + max |x| / unit."""
    with np.errstate(over="ignore", invalid="ignore"):
        bounds = np.maximum(tree.functions[:, -2] * unit, tree.functions[:, -1])
    return np.column_stack([tree.functions[:, :-2], bounds])[tree.asks]


def _size(arrays: dict[str, NDArray[Any]], regions: Regions) -> TreeSize:
    """Return the size of a predictor."""
    counts = np.empty(len(regions), dtype=np.int64)
    tree = (arrays[name] for name in _ARRAYS[:4])
    count_comparisons(regions.witnesses.copy(), *tree, counts)
    n_maps, n_outputs, columns = arrays["maps"].shape
    net = regions.network
    return TreeSize(
        n_regions=len(regions),
        n_maps=n_maps,
        n_nodes=len(arrays["rows"]),
        n_cells=len(arrays["roots"]) - 1,
        depth=int(counts.max()),
        mean_depth=float(counts.mean()),
        n_bytes=sum(array.nbytes for array in arrays.values()),
        multiplications=float(counts.mean() + n_outputs) * (columns - 1),
        network_multiplications=sum(weight.size for layer in net.layers for weight in layer.weights.values()),
    )


def _digest(header: dict[str, Any], network: bytes, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a SHA-256 of everything that a file holds: a changed byte is noticed."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(network)
    for name in _ARRAYS:
        digest.update(f"{name}{arrays[name].dtype}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _check_arrays(arrays: Mapping[str, NDArray[Any]], network: Network, domain: Domain) -> None:
    """Refuse arrays that would lead the kernel out of them, or in circles.

    Raises
    ------
    ValueError
        A shape, a type or a number does not fit.
    """
    rows, children, roots, grids, unit, maps = (arrays[name] for name in _ARRAYS)
    d, n, n_maps = domain.dimension, len(rows), len(maps)
    fits = (
        all(array.dtype == np.float64 for array in (rows, grids, unit, maps))
        and all(array.dtype == np.int32 for array in (children, roots))
        and network.n_inputs == d
        and rows.shape == (n, d + 2)
        and children.shape == (n, 2)
        and maps.shape == (n_maps, network.n_outputs, d + 1)
        and grids.shape == (len(grids), 3, d)
        and roots.ndim == 1
        and bool(np.all(grids[:, 2] >= 1))
        and len(roots) == grids[:, 2].prod(axis=1).sum() + 1
        and unit.shape == (1,)
    )
    # Children come later than their parents, or the descent might not end.
    later = fits and np.all((children < 0) | (children > np.arange(n)[:, None]))
    ends = [int(array.min(initial=-1)) for array in (children, roots)] if fits else []
    if not (later and roots.max() < n and children.max(initial=-1) < n and all(~end < n_maps for end in ends)):
        raise ValueError("its tree does not fit together")
