"""What is drawn of a domain that fixes inputs: its regions over the inputs that are free."""

from __future__ import annotations

from typing import NamedTuple

from tropnet.regions import Regions

__all__ = ["FreeInputs", "over_free_inputs"]


class FreeInputs(NamedTuple):
    """Regions over the inputs that the domain leaves free.

    Attributes
    ----------
    regions
        The regions; those given if no input is fixed, or where the domain is not parallel to the axes.
    names
        Which input each coordinate is, from 0 on.
    first_layer
        Which hidden layer of their network is the first of the network given: a restriction may need one before it.
    """

    regions: Regions
    names: tuple[int, ...]
    first_layer: int

    @property
    def labels(self) -> tuple[str, ...]:
        """What the axes are called."""
        return tuple(f"$x_{{{number + 1}}}$" if number > 8 else f"$x_{number + 1}$" for number in self.names)


def over_free_inputs(regions: Regions) -> FreeInputs:
    """Return regions over the inputs that their domain leaves free."""
    restriction = regions.restriction
    # On a hull that is at float64 numbers outputs are those of the network given, not multiples.
    if restriction is None or restriction.is_point or not restriction.keeps_lengths or restriction.scale != 1:
        return FreeInputs(regions, tuple(range(regions.network.n_inputs)), 0)
    names = tuple(restriction.hull.free.tolist())
    return FreeInputs(regions.within, names, int(restriction.n_helpers > 0))
