"""Runs in directories, to be read: their regions part by part, and what they sum up to, without loading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import fsum

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.rounding import LARGEST
from tropnet.progress import track
from tropnet.regions.activation_region import ActivationRegion
from tropnet.regions.prefixes import count_by_layer
from tropnet.regions.regions import Regions
from tropnet.regions.runs.state import Part
from tropnet.regions.runs.stored import StoredRun

__all__ = ["Run"]

_N_SET = bytes(byte.bit_count() for byte in range(256))
# Rows of regions are composed, seen from their witnesses, and measured, each of which takes their room again.
_COPIES = 16


class Run(StoredRun):
    """A run in a directory, as `enumerate_regions` or `count_regions` with ``out=`` leaves it, finished or not.

    It says how far the run was when it was opened; open it again to see more. Regions come from the parts that the
    journal of the run names, and are loaded only where that is said.

    Parameters
    ----------
    path
        The directory.

    Attributes
    ----------
    path, network, domain
        The directory, and where the regions live.
    kind
        ``"regions"``, or ``"count"`` of a run that only counts: it has no regions to read.
    fingerprint
        SHA-256 of all that the result depends on: network, domain, options, version.
    n_regions
        How many regions were found so far; `len` says so, too.
    complete
        Whether these are all: nothing left to search, and nothing undecided.
    undecided
        The decision prefixes (bits of the first neurons) of the subtrees that stayed undecided.
    failed
        Subtrees that could not be searched, by their first decisions as text, and the last error of each.
    stats
        Counters of the search: engine, seconds of all workers together, `elapsed` ones by the clock, ...

    Raises
    ------
    FileNotFoundError
        There is no such directory.
    FileFormatError
        It holds no run, or the manifest or the journal is damaged; later on: a part is missing, damaged, or of another
        run.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tropnet as tn
    >>> net = tn.Network.mlp([[[1, 0], [0, 1], [1, 1]], [[1, 1, 1]]], [[0, 0, -1], [0]])
    >>> with TemporaryDirectory() as directory:
    ...     _ = tn.enumerate_regions(net, tn.Box(-2, 2), out=directory)
    ...     run = tn.Run(directory)
    ...     print(len(run), run.complete, run.volume(), len(run.regions()))
    7 True 16.0 7
    """

    def __len__(self) -> int:
        return self.n_regions

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"incomplete, {len(self.undecided)} undecided"
        return f"Run({os.fspath(self.path)!r}: {self.n_regions} activation regions in {self.domain}, {state})"

    # --- the regions

    def __iter__(self) -> Iterator[ActivationRegion]:
        """Yield the regions one by one; those of one part are in memory at a time."""
        for regions in self.iter_parts():
            yield from regions

    def iter_parts(self) -> Iterator[Regions]:
        """Yield the regions part by part, as they were found; `complete` is False for each, as a part is not all.

        Raises
        ------
        RunError
            The run only counts.
        FileFormatError
            A part is missing, damaged, or of another run.
        """
        for part in self.parts:
            yield Regions(*self.read(part))

    def regions(self) -> Regions:
        """Load all regions; memory as for `enumerate_regions`. Facets are known if each part has them.

        Raises
        ------
        RunError, FileFormatError
            As for `iter_parts`.
        """
        return Regions(*self.read_all())

    # --- what they sum up to

    def facet_histogram(self, *, progress: bool = False) -> NDArray[np.int64]:
        """Return how many regions have 0, 1, 2, ... facets, int64 of shape (largest number of facets + 1,).

        Some thousands of regions are in memory at a time. Where the run has the facets, only they are read; else they
        are found in bulk, see `Regions.facets`; `progress` shows a bar on standard error.

        Raises
        ------
        RunError, FileFormatError
            As for `iter_parts`.
        """
        histogram = np.zeros(1, dtype=np.int64)
        with track("counting facets", "regions", enabled=progress) as update:
            for numbers in self._numbers_of_facets():
                counts = np.bincount(numbers, minlength=len(histogram))
                counts[: len(histogram)] += histogram
                histogram = counts
                n_done = int(histogram.sum())
                update(n_done, n_done / self.n_regions)
        return histogram

    def volume(self, *, progress: bool = False) -> float:
        """Return the sum of the volumes of all regions, rounded once; infinite if one is unbounded.

        Each is as `Regions.volumes` has it, within 1e-9 of the exact one, relatively, and costs what it does there.
        Some thousands of regions are in memory at a time; `progress` shows a bar on standard error.

        Raises
        ------
        RunError, FileFormatError
            As for `iter_parts`.
        """

        def volumes() -> Iterator[float]:
            n_done = 0
            for part in self.parts:
                for few in self._few(part):
                    yield from few.volumes().tolist()
                    n_done += len(few)
                    update(n_done, n_done / self.n_regions)

        with track("measuring", "volumes", enabled=progress) as update:
            try:
                return fsum(volumes())
            except OverflowError:
                return LARGEST

    def count_by_layer(self, *, progress: bool = False) -> NDArray[np.int64]:
        """Return how many regions the first 1, ..., L hidden layers have, int64 of shape (L,).

        That is the number of distinct patterns of these layers that occur, and so of the activation regions of the
        network cut off after them: each of those holds a region of the whole network. Exact, for the regions found.

        Only the patterns are read, and 12 MB of prefixes are held at a time: where there are more, the patterns are
        read several times; `progress` shows a bar on standard error for each.

        Raises
        ------
        RunError, FileFormatError
            As for `iter_parts`.
        """

        def patterns() -> Iterator[PackedArray]:
            n_done = 0
            with track("reading patterns", "regions", enabled=progress) as update:
                for packed in (packed for part in parts for packed in self.bits(part, "pattern")):
                    if packed is not None:
                        yield packed
                        n_done += len(packed)
                        update(n_done, n_done / self.n_regions)

        parts = self.parts
        return count_by_layer(patterns, self.n_regions, self.network.widths)

    def _numbers_of_facets(self) -> Iterator[NDArray[np.int64]]:
        """Yield the number of facets of every region, some thousands at a time."""
        for part in self.parts:
            for packed in self.bits(part, "facets"):
                if packed is None:
                    break
                yield _n_set(packed)
            else:
                continue
            for few in self._few(part):
                yield np.diff(few.facets().offsets)

    def _few(self, part: Part) -> Iterator[Regions]:
        """Yield the regions of a part, as many at a time as there is room for their rows."""
        for piece in self.pieces(part):
            yield from _composed(Regions(*piece))


def _n_set(packed: PackedArray) -> NDArray[np.int64]:
    """Return how many bits of each row are set."""
    # numpy would index by int64 numbers, eight times as large.
    n_set = np.frombuffer(packed.tobytes().translate(_N_SET), dtype=np.uint8)
    return np.asarray(n_set.reshape(packed.shape).sum(axis=1, dtype=np.int64))


def _composed(regions: Regions) -> Iterator[Regions]:
    """Yield the regions, as many at a time as there is room for their rows."""
    n_cuts = int(_n_set(regions.packed_cuts).sum()) // max(len(regions), 1)
    n_rows = n_cuts + len(regions.domain.row_numbers)
    for part in chunks(len(regions), _COPIES * n_rows * (regions.domain.dimension + 1)):
        exact = {i - part.start: x for i, x in regions.rational_witnesses.items() if part.start <= i < part.stop}
        facets = regions.packed_facets
        yield Regions(
            regions.network,
            regions.domain,
            regions.packed[part],
            regions.packed_cuts[part],
            regions.witnesses[part],
            exact,
            complete=False,
            packed_facets=None if facets is None else facets[part],
        )
