"""A program of somebody else: `.ci/wheel` runs it and checks its types where only the wheel is installed."""

from fractions import Fraction
from typing import assert_type

import numpy as np
import numpy.typing as npt

import tropnet as tn


def counted(net: tn.Network, box: tn.Box) -> int:
    """Return the number of regions, found in three ways."""
    count = tn.count_regions(net, box)
    assert_type(count, int)
    several = tn.count_regions([net, net], box)
    assert_type(several, npt.NDArray[np.int64])
    regions: tn.Regions = tn.enumerate_regions(net, box, facets=True)
    assert count == len(regions) == several[1] == sum(1 for _ in tn.iter_regions(net, box))
    return count


def described(region: tn.ActivationRegion) -> dict[str, npt.NDArray[np.float64] | float]:
    """Return a few facts of one region."""
    pattern: npt.NDArray[np.bool_] = region.pattern
    assert pattern.ndim == 1
    affine: tn.AffineMap = region.affine
    return {"A": region.A, "b": region.b, "y": affine(region.witness), "volume": region.volume()}


def decided(net: tn.Network, box: tn.Box) -> Fraction:
    """Return the exact maximum, having asked for a verdict on either side of it."""
    greatest = tn.maximum(net, domain=box).exact
    assert greatest is not None
    above: tn.Verdict = tn.verify(net, tn.Property.always(box, [[-1]], [greatest]))
    below: tn.Verdict = tn.verify(net, tn.Property.always(box, [[-1]], [greatest - Fraction(1, 10**30)]))
    assert above.holds is True
    assert below.holds is False
    found = below.counterexample
    assert found is not None
    assert found.y[0] <= greatest
    return greatest


def refused(box: tn.Box) -> str:
    """Return what a call says that cannot be answered."""
    try:
        tn.count_regions(tn.Network.random([3, 4, 1], seed=0), box)
    except tn.TropnetError as error:
        return str(error)
    raise AssertionError


def main() -> None:
    """Do a little of everything."""
    net, box = tn.Network.random([2, 8, 8, 1], seed=0), tn.Box([-1, -1], [1, 1])
    regions = tn.enumerate_regions(net, box)
    predictor: tn.CompiledPredictor = tn.compile_regions(net, box)
    assert np.allclose(predictor([0.5, -0.5]), net([0.5, -0.5]))
    assert described(regions[0])["volume"] > 0
    assert counted(net, box) == 28
    assert decided(net, box) > 0
    assert "3" in refused(box)


if __name__ == "__main__":
    main()
