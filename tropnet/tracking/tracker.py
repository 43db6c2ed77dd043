"""The activation regions of a network at the steps of its training."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.enumeration import enumerate_regions
from tropnet.errors import MissingExtraError, ShapeError
from tropnet.network.domain import Box, Domain, as_domain
from tropnet.network.network import Network
from tropnet.regions import Regions
from tropnet.regions.prefixes import count_by_layer
from tropnet.tracking.files import Columns, read, write
from tropnet.tracking.pattern_table import PatternTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RegionTracker"]

IntArray = NDArray[np.int64]

# Births and deaths where a list of regions is incomplete.
_UNKNOWN = -1


class RegionTracker:
    """The activation regions of a network at the steps of its training, each with a number that stays.

    A region is known by its pattern: every pattern gets the next number when it first appears, and keeps it, also if it
    is gone for a while. From one step to the next, patterns are born and die; on a region whose pattern stays, the
    weights, and so its sides and its affine map, may change.

    Parameters
    ----------
    domain
        None (all of R^d), `Box(low, high)` or `Polytope(A, b)`, the same at all steps.
    engine, workers, max_regions
        As for `enumerate_regions`. Of a step with more than `max_regions`, or with an undecided decision, the list is
        incomplete, see `complete`.
    keep_networks
        Whether to keep every step's network, for `regions`, `plot_map`, `write_animation` and `write_slider`. Default:
        if it has two inputs, so that it can be drawn.

    Notes
    -----
    A step costs its enumeration, about a microsecond a region with two inputs, and sorting the patterns. Kept are a
    packed pattern for each distinct one and 16 bytes, 8 bytes for each region of each step, and the networks.

    Every step is enumerated anew. When weights move, all rows of all regions move, and to prove that a region has
    stayed takes its rows for the new weights. These alone, composed for all regions at once, took 1.1 to 15 times as
    long as the search that finds the regions anew (2 to 6 inputs, 85 to 23,000 regions): it composes once what regions
    share.

    Examples
    --------
    >>> def net(shift):
    ...     return Network.mlp([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, shift], [0.0]])
    >>> tracker = RegionTracker(Box(-1, 1))
    >>> for step, shift in enumerate([0.5, 0.2, -0.2, 2.0]):
    ...     regions = tracker.add(net(shift), step)
    >>> tracker.counts.tolist(), tracker.births.tolist(), tracker.deaths.tolist()
    ([3, 3, 3, 2], [0, 0, 1, 1], [0, 0, 1, 2])
    >>> tracker.numbers(0).tolist(), len(set(tracker.numbers(0)) & set(tracker.numbers(2))), len(tracker.patterns)
    ([0, 1, 2], 2, 4)
    """

    def __init__(
        self,
        domain: Domain | None = None,
        *,
        engine: str = "auto",
        workers: int = 1,
        max_regions: int | None = None,
        keep_networks: bool | None = None,
    ) -> None:
        self.domain = domain
        self._options: dict[str, Any] = {"engine": engine, "workers": workers, "max_regions": max_regions}
        self._keep = keep_networks
        self._shape: tuple[int, tuple[int, ...]] = (0, ())  # until there is a step
        self._table = PatternTable(np.zeros((0, 0), dtype=np.uint8))
        self._steps: list[int] = []
        self._numbers: list[IntArray] = []
        self._complete: list[bool] = []
        self._by_layer: list[IntArray] = []
        self._networks: list[Network] = []

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        if not self._steps:
            return f"RegionTracker(no steps, {self.domain})"
        return (
            f"RegionTracker({len(self)} steps {self._steps[0]} to {self._steps[-1]}, {len(self._numbers[0])} to"
            f" {len(self._numbers[-1])} regions, {len(self._table)} patterns, {self.domain})"
        )

    # --- recording

    def add(self, net: Network, step: int | None = None) -> Regions:
        """Enumerate the regions of a network, record them, and return them.

        Parameters
        ----------
        net
            A network with as many inputs and the same hidden widths as those before.
        step
            An integer larger than all before; default: the one after the last, from 0 on.

        Raises
        ------
        ShapeError
            The network has another shape.
        ValueError
            `step` is no integer, or not larger than the last.
        DomainError, UnsupportedModuleError
            As `enumerate_regions`.
        """
        last = self._steps[-1] if self._steps else None
        number = (0 if last is None else last + 1) if step is None else step
        if not isinstance(number, int | np.integer) or isinstance(number, bool) or abs(int(number)) >= 2**63:
            raise ValueError(f"step must be an integer of 64 bits, got {number!r}.")
        number = int(number)
        if last is not None and number <= last:
            raise ValueError(f"step must be larger than the last one, {last}, got {number}.")
        if self._steps and isinstance(net, Network) and _shape(net) != self._shape:
            raise ShapeError(
                f"the network must have the shape of those before, {_shown(self._shape)}, got {_shown(_shape(net))}:"
                " patterns of different neurons cannot be compared. Take a new RegionTracker for it."
            )
        regions: Regions = enumerate_regions(net, self.domain, on_undecided="collect", **self._options)
        if not self._steps:
            self._begin(net)
        self._steps.append(number)
        self._numbers.append(np.sort(self._table.add(regions.packed)))
        self._complete.append(regions.complete)
        self._by_layer.append(count_by_layer(lambda: [regions.packed], len(regions), net.widths))
        if self._keep:
            self._networks.append(net)
        return regions

    def callback(
        self,
        module: Any,
        step: int | None = None,
        *,
        input_shape: Sequence[int] | None = None,
        output: str | None = None,
    ) -> Regions:
        """Record a PyTorch module as it is now; see `add`. Call it in the training loop.

        `input_shape` and `output`, such as "logits", are those of `from_torch`.

        Raises
        ------
        MissingExtraError
            PyTorch is not installed.
        UnsupportedModuleError
            The module is not piecewise linear, or not understood.
        """
        try:
            from tropnet.importers.torch import from_torch
        except ImportError as error:
            raise MissingExtraError.of("RegionTracker.callback", "torch") from error
        return self.add(from_torch(module, input_shape, output=output), step)

    def _begin(self, net: Network) -> None:
        self._shape = _shape(net)
        self.domain = as_domain(self.domain, net.n_inputs)
        self._table = PatternTable(np.zeros((0, -(-net.n_neurons // 8)), dtype=np.uint8))
        self._keep = net.n_inputs == 2 if self._keep is None else self._keep

    # --- tables

    @property
    def steps(self) -> IntArray:
        """The steps, int64 of shape (S,)."""
        return np.array(self._steps, dtype=np.int64)

    @property
    def counts(self) -> IntArray:
        """The number of regions at each step, int64 of shape (S,); where the list is incomplete, of those found."""
        return np.array([len(numbers) for numbers in self._numbers], dtype=np.int64)

    @property
    def counts_by_layer(self) -> IntArray:
        """The number of regions of the first 1, ..., L layers at each step, int64 of shape (S, L)."""
        return np.array(self._by_layer, dtype=np.int64).reshape(len(self), len(self._shape[1]))

    @property
    def complete(self) -> BoolArray:
        """Whether all regions were found at each step, bool of shape (S,)."""
        return np.array(self._complete, dtype=np.bool_)

    @property
    def births(self) -> IntArray:
        """How many patterns of each step were not there at the step before, int64 of shape (S,).

        It is 0 at the first step, and -1 where either list is incomplete: what is not listed may be there.
        """
        return self._changes(lambda before, now: np.setdiff1d(now, before, assume_unique=True))

    @property
    def deaths(self) -> IntArray:
        """How many patterns of the step before are gone at each step, int64 of shape (S,); 0 and -1 as in `births`."""
        return self._changes(lambda before, now: np.setdiff1d(before, now, assume_unique=True))

    def _changes(self, which: Any) -> IntArray:
        found = [0] * min(len(self), 1)
        for (before, now), known in zip(pairwise(self._numbers), pairwise(self._complete), strict=True):
            found.append(len(which(before, now)) if all(known) else _UNKNOWN)
        return np.array(found, dtype=np.int64)

    def numbers(self, index: int) -> IntArray:
        """Return the numbers of the regions at step number `index` (from 0, or from the end), ascending."""
        return self._numbers[self._place(index)].copy()

    @property
    def patterns(self) -> BoolArray:
        """All patterns so far, bool of shape (M, n_neurons), by their numbers."""
        return unpack(self._table.packed, sum(self._shape[1]))

    def numbers_of(self, regions: Regions) -> IntArray:
        """Return the number of each region of a list, int64 of shape (R,), -1 for patterns that never appeared."""
        return self._table.find(regions.packed)

    def regions(self, index: int) -> Regions:
        """Enumerate the regions at step number `index` again, with their facets.

        Raises
        ------
        ValueError
            The networks were not kept.
        """
        place = self._place(index)
        if len(self._networks) < len(self):
            raise ValueError(
                "the networks must be kept to have their regions again; make RegionTracker(..., keep_networks=True)."
            )
        regions: Regions = enumerate_regions(
            self._networks[place], self.domain, on_undecided="collect", facets=True, **self._options
        )
        return regions

    def _place(self, index: int) -> int:
        try:
            return range(len(self))[operator.index(index)]
        except TypeError:
            raise TypeError(f"index must be an integer, the number of a step from 0 on, got {index!r}.") from None
        except IndexError:
            raise IndexError(f"step number {index} does not exist: there are {len(self)}.") from None

    # --- pictures

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the number of regions against the step, by layer, and births and deaths.

        Raises
        ------
        MissingExtraError
            Matplotlib is not installed.
        ValueError
            There are no steps.
        """
        self._require_steps()
        plotting = _plotting("plot")
        axes: Axes = plotting.plot_counts(self._tables(plotting), ax)
        return axes

    def plot_map(self, index: int, ax: Axes | None = None, *, view: Box | None = None) -> Axes:
        """Draw the regions of a network with two inputs at step number `index`, in colours that stay.

        A region has the colour of its number at every step. When it is new, the colour differs from its neighbours'.

        Raises
        ------
        MissingExtraError, ShapeError, ValueError
            Matplotlib is not installed; the network does not have two inputs; the networks were not kept.
        """
        place, plotting = self._place(index), _plotting("plot_map")
        # The colours depend on the steps before.
        frames = self._frames(range(place + 1), plotting)
        colours = plotting.lasting_colours(frames)
        regions, numbers = frames[-1]
        axes: Axes = plotting.plot_step(regions, colours[numbers], self._steps[place], ax, view)
        return axes

    def write_animation(
        self, path: str | os.PathLike[str], *, view: Box | None = None, per_second: float = 4.0, dpi: int = 100
    ) -> None:
        """Write maps of all steps as an animation, `.gif`, or `.mp4` where ffmpeg is installed; the view stays.

        Raises
        ------
        MissingExtraError, ShapeError
            As `plot_map`.
        ValueError
            The suffix is neither; a number is out of range; there is no ffmpeg; the networks were not kept; there are
            no steps.
        """
        self._require_steps()
        plotting = _plotting("write_animation")
        plotting.check_animation(path, per_second, dpi)
        frames = self._frames(range(len(self)), plotting)
        plotting.write_animation(path, frames, self._steps, view, per_second, dpi)

    def write_slider(self, path: str | os.PathLike[str], *, view: Box | None = None) -> None:
        """Write an HTML page of the maps of all steps, with a slider; it opens offline. The view stays.

        Raises
        ------
        MissingExtraError
            Plotly is not installed.
        ShapeError, ValueError
            As `plot_map`; there are no steps; the suffix is neither `.html` nor `.htm`.
        """
        self._require_steps()
        try:
            from tropnet.plotting.training_page import require_page, write_slider
        except ImportError as error:
            raise MissingExtraError.of("RegionTracker.write_slider", "interactive") from error
        require_page(path)
        plotting = _plotting("write_slider")
        write_slider(path, self._frames(range(len(self)), plotting), self._tables(plotting), view)

    def _require_steps(self) -> None:
        if not self._steps:
            raise ValueError("there are no steps yet: call add(net) or callback(module) first.")

    def _tables(self, plotting: Any) -> Any:
        return plotting.Tables(self.steps, self.counts_by_layer, self.births, self.deaths, self.complete)

    def _frames(self, places: range, plotting: Any) -> Any:
        if self._shape[0] != 2:
            raise ShapeError(f"a map needs a network with 2 inputs, got {self._shape[0]}.")
        found = [self.regions(place) for place in places]
        return [plotting.Frame(regions, self.numbers_of(regions)) for regions in found]

    # --- files

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write everything into an `.npz` file of plain arrays, atomically.

        Raises
        ------
        ValueError
            There are no steps.
        OSError
            The file cannot be written.
        """
        self._require_steps()
        n_inputs, widths = self._shape
        columns = Columns(
            n_inputs,
            widths,
            as_domain(self.domain, n_inputs),
            {**self._options, "keep_networks": bool(self._keep)},
            self._table.packed,
            self._steps,
            self._numbers,
            self._complete,
            self.counts_by_layer,
            self._networks,
        )
        write(columns, path)

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> RegionTracker:
        """Return what `to_npz` wrote; steps can be added to it.

        Raises
        ------
        FileNotFoundError, FileFormatError
            There is no such file, or it is damaged or another one.
        """
        found = read(path)
        tracker = cls(found.domain, **found.options)
        tracker._shape = (found.n_inputs, found.widths)
        tracker._table = PatternTable(found.packed)
        tracker._steps = list(found.steps)
        tracker._numbers = list(found.numbers)
        tracker._complete = list(found.complete)
        tracker._by_layer = list(found.by_layer)
        tracker._networks = list(found.networks)
        return tracker


def _shape(net: Network) -> tuple[int, tuple[int, ...]]:
    return net.n_inputs, net.widths


def _shown(shape: tuple[int, tuple[int, ...]]) -> str:
    return "-".join(map(str, (shape[0], *shape[1])))


def _plotting(method: str) -> Any:
    """Return the module of the pictures, which needs Matplotlib."""
    try:
        from tropnet.plotting import training
    except ImportError as error:
        raise MissingExtraError.of(f"RegionTracker.{method}", "plot") from error
    return training
