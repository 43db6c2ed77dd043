"""The directory of a run as it is read: what it says of itself, and the columns of its parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tropnet.arrays.patterns import PackedArray
from tropnet.errors import FileFormatError, RunError
from tropnet.network.network import Network
from tropnet.regions.files import Columns, iter_part, part_bits, read_part
from tropnet.regions.row_index import RowIndex
from tropnet.regions.runs.journal import part_path, read_manifest, read_network, read_state
from tropnet.regions.runs.state import Part

__all__ = ["StoredRun"]


class StoredRun:
    """A run in a directory, in columns; see `Run` for its attributes, and the errors of its methods."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        manifest, state = read_manifest(path), read_state(path)
        self.kind = manifest.kind
        self.fingerprint = manifest.fingerprint
        self.domain = manifest.domain
        self.n_regions = state.n_regions
        self.undecided = tuple(tuple(bit == "1" for bit in prefix) for prefix in state.undecided)
        self.failed: Mapping[str, str] = {state.open[number].text: error for number, error in state.failed.items()}
        self.complete = state.finished and not self.undecided
        self.stats: Mapping[str, Any] = {
            "engine": state.engine,
            "seconds": state.seconds,
            "elapsed": state.elapsed,
            "sessions": state.n_sessions,
            **state.counters,
        }
        self._parts = tuple(state.parts)
        self._network_fingerprint = manifest.identity["network"]

    @cached_property
    def network(self) -> Network:
        """The network.

        Raises
        ------
        FileFormatError
            The file of the network is damaged, or holds another network than that of the run.
        """
        network = read_network(self.path)
        if network.fingerprint != self._network_fingerprint:
            raise FileFormatError(
                f"'{self.path}' must hold the network of the run, {self._network_fingerprint}, but its network.npz is"
                f" {network.fingerprint}: put it back."
            )
        return network

    @property
    def files(self) -> tuple[Path, ...]:
        """The Parquet files of the parts that the journal names, for other programs; none of a run that only counts."""
        return tuple(part_path(self.path, part) for part in self._parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that the journal names.

        Raises
        ------
        RunError
            The run only counts.
        """
        if self.kind == "count":
            raise RunError(
                f"'{self.path}' must be a run with regions, but it only counts them: Run.n_regions is their number, and"
                " enumerate_regions(..., out=) keeps them."
            )
        return self._parts

    def read(self, part: Part) -> Columns:
        """Return the columns of a part."""
        columns = read_part(self._file(part), self.network, self.domain)
        self._check(part, len(columns.packed))
        return columns

    def pieces(self, part: Part) -> Iterator[Columns]:
        """Yield the columns of a part some thousands of rows at a time; that it is whole is known at the end."""
        n = 0
        for columns in iter_part(self._file(part), self.network, self.domain):
            n += len(columns.packed)
            yield columns
        self._check(part, n)

    def bits(self, part: Part, name: str) -> Iterator[PackedArray | None]:
        """Yield one column of packed bits as `pieces` does; None where it is not there."""
        n = 0
        for packed in part_bits(self._file(part), name, self.network, self.domain):
            n += 0 if packed is None else len(packed)
            yield packed
        self._check(part, n)

    def read_all(self) -> Columns:
        """Return the columns of all parts; facets if each has them."""
        net, n = self.network, sum(part.n_regions for part in self.parts)
        n_bytes = -(-net.n_neurons // 8)
        packed, cuts = (np.empty((n, n_bytes), dtype=np.uint8) for _ in range(2))
        facets: PackedArray | None
        facets = np.empty((n, -(-RowIndex.of(net, self.domain).n_places // 8)), dtype=np.uint8)
        points = np.empty((n, net.n_inputs))
        exact: dict[int, tuple[Fraction, ...]] = {}
        start = 0
        for piece in (piece for part in self.parts for piece in self.pieces(part)):
            rows = slice(start, start + len(piece.packed))
            packed[rows], cuts[rows], points[rows] = piece.packed, piece.packed_cuts, piece.witnesses
            exact.update((start + i, point) for i, point in piece.rational_witnesses.items())
            if piece.packed_facets is None:
                facets = None
            elif facets is not None:
                facets[rows] = piece.packed_facets
            start = rows.stop
        return Columns(net, self.domain, packed, cuts, points, exact, self.complete, self.undecided, self.stats, facets)

    def _file(self, part: Part) -> Path:
        path = part_path(self.path, part)
        if not path.is_file():
            raise FileFormatError(f"'{path}' must be a part of the run, but is missing: put it back.")
        return path

    def _check(self, part: Part, n_regions: int) -> None:
        if n_regions != part.n_regions:
            raise FileFormatError(
                f"'{part_path(self.path, part)}' must hold {part.n_regions} regions by the journal of the run, but it"
                f" holds {n_regions}: it is another part."
            )
