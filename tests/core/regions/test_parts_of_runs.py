"""Parts of runs: regions as Parquet files without their network, one of many in a directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import show
from tests.damage import check_damaged
from tests.strategies import problems
from tropnet import (
    Box,
    Domain,
    FileFormatError,
    Layer,
    Network,
    Polytope,
    Regions,
    Tolerances,
    enumerate_regions,
)
from tropnet.regions.files import Columns, iter_part, part_bits, part_bytes, read_part

Problem = tuple[Network, Domain | None]
SLIVER = Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
AFFINE = Network([Layer({0: [[1.0, 2.0]]}, [0.5])])


def written(regions: Regions, path: Path) -> Path:
    """Write regions as a part of a run."""
    path.write_bytes(part_bytes(regions._columns, regions.network.fingerprint))
    return path


def check_same(regions: Regions, columns: Columns) -> None:
    """Fail unless a part holds the regions, and nothing of the run."""
    for one, other in zip(regions._columns[2:5], columns[2:5], strict=True):
        assert (one.shape, one.dtype, one.tolist()) == (other.shape, other.dtype, other.tolist())
    assert dict(columns.rational_witnesses) == dict(regions.rational_witnesses)
    assert (columns.packed_facets is None) == (regions.packed_facets is None)
    if columns.packed_facets is not None and regions.packed_facets is not None:
        assert columns.packed_facets.tolist() == regions.packed_facets.tolist()
    assert (columns.complete, columns.undecided, dict(columns.stats)) == (False, (), {})


def check_pieces(regions: Regions, path: Path) -> None:
    """Columns of bits are read alone."""
    for name, packed in (("pattern", regions.packed), ("cuts", regions.packed_cuts), ("facets", regions.packed_facets)):
        pieces = list(part_bits(path, name, regions.network, regions.domain))
        assert [piece is None for piece in pieces] == [packed is None] * len(pieces)
        if packed is not None:
            assert [row for piece in pieces if piece is not None for row in piece.tolist()] == packed.tolist()
    groups = [Regions(*columns) for columns in iter_part(path, regions.network, regions.domain)]
    assert [region.certificate.fractions for group in groups for region in group] == [
        region.certificate.fractions for region in regions
    ]


@given(problem=problems(max_neurons=9), facets=st.booleans(), pivots=st.sampled_from([0, 3, 100_000]))
def test_parts_keep_their_regions(
    problem: Problem, facets: bool, pivots: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is written is read again, whole and column by column: rational witnesses, facets or none, flat domains."""
    net, domain = problem
    show(net, domain)
    options = {"on_undecided": "collect", "tolerances": Tolerances(exact_pivots=pivots)}
    regions = enumerate_regions(net, domain, facets=facets, **options)
    path = written(regions, tmp_path_factory.getbasetemp() / "part.parquet")
    check_same(regions, read_part(path, net, regions.domain))
    check_pieces(regions, path)


KEPT = {
    "a rational witness": (SLIVER, None),
    "a witness beyond the largest float": (Network.mlp([[[1e-200]], [[1.0]]], [[-1e200], [0.0]]), None),
    "no neurons": (AFFINE, None),
    "a flat box": (Network.random([3, 5, 5, 1], seed=0), Box([-1, 0.5, -1], [1, 0.5, 1])),
    "a flat polytope": (Network.random([2, 5, 5, 1], seed=0), Polytope([[1, 1], [-1, -1], [1, 0]], [1, -1, 3])),
}


@pytest.mark.parametrize("facets", [False, True])
@pytest.mark.parametrize("case", KEPT)
def test_parts_keep_the_rare_cases(case: str, facets: bool, tmp_path: Path) -> None:
    """Rational witnesses, no neurons, domains of lower dimension: all survive; so do no regions at all."""
    net, domain = KEPT[case]
    regions = enumerate_regions(net, domain, facets=True)
    regions = regions if facets else replace(regions, packed_facets=None)
    assert bool(regions.rational_witnesses) or "witness" not in case
    arrays = {name: getattr(regions, name) for name in ("packed", "packed_cuts", "witnesses", "packed_facets")}
    none = {name: None if array is None else array[:0] for name, array in arrays.items()}
    for each in (regions, replace(regions, **none, rational_witnesses={})):
        path = written(each, tmp_path / "part.parquet")
        check_same(each, read_part(path, net, each.domain))
        check_pieces(each, path)


def test_many_rows_are_read_in_pieces(tmp_path: Path) -> None:
    """A part of more rows than are read at a time is read again, rational witnesses far from its beginning, too."""
    one, n, rng = enumerate_regions(SLIVER), 150_000, np.random.default_rng(0)
    many = replace(
        one,
        packed=rng.integers(0, 4, (n, 1), dtype=np.uint8),
        packed_cuts=rng.integers(0, 4, (n, 1), dtype=np.uint8),
        witnesses=rng.normal(size=(n, 1)),
        packed_facets=None,
        rational_witnesses=dict.fromkeys((3, 140_000, 149_999), next(iter(one.rational_witnesses.values()))),
    )
    path = written(many, tmp_path / "part.parquet")
    check_same(many, read_part(path, SLIVER, many.domain))
    pieces = [piece for piece in part_bits(path, "pattern", SLIVER, many.domain) if piece is not None]
    assert len(pieces) > 1
    assert (np.concatenate(pieces) == many.packed).all()
    found = [Regions(*columns) for columns in iter_part(path, SLIVER, many.domain)]
    assert (np.concatenate([group.witnesses for group in found]) == many.witnesses).all()
    assert [sorted(group.rational_witnesses) for group in found] == [[3], [], [140_000 - 131_072, 149_999 - 131_072]]


@pytest.fixture(scope="module")
def saved() -> Regions:
    return enumerate_regions(Network.random([2, 3, 2, 1], seed=0), Box(-1, 1), facets=True)


def test_a_truncated_part_is_refused(saved: Regions, tmp_path: Path) -> None:
    """Every proper beginning of a part is refused by name."""
    path = written(saved, tmp_path / "part.parquet")
    data = path.read_bytes()
    for size in {*range(0, len(data), 97), len(data) - 1}:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError, match=r"'.*part.parquet' is not a complete part of this run"):
            read_part(path, saved.network, saved.domain)


@pytest.mark.parametrize("start", range(3))
def test_a_damaged_part_is_refused(start: int, saved: Regions, tmp_path: Path) -> None:
    """A changed bit is refused by name, except where nothing is stored."""
    path = written(saved, tmp_path / "part.parquet")
    places = range(start, path.stat().st_size, 11)
    check_damaged(
        path, lambda path: read_part(path, saved.network, saved.domain), lambda again: check_same(saved, again), places
    )


@pytest.mark.parametrize("name", ["pattern", "cuts", "facets"])
def test_a_damaged_column_is_refused(name: str, saved: Regions, tmp_path: Path) -> None:
    """A column that is read alone is what was written, or refused."""
    path = written(saved, tmp_path / "part.parquet")
    data = path.read_bytes()
    expected = {"pattern": saved.packed, "cuts": saved.packed_cuts, "facets": saved.packed_facets}[name].tolist()
    refused = 0
    for place in range(0, len(data), 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            found = list(part_bits(path, name, saved.network, saved.domain))
            assert [row for piece in found if piece is not None for row in piece.tolist()] == expected
        except FileFormatError:
            refused += 1
    assert refused


def test_a_part_of_another_run_is_refused(saved: Regions, tmp_path: Path) -> None:
    """A part names what it is of: other networks, other domains, whole files, and parts as whole files, are refused."""
    path = written(saved, tmp_path / "part.parquet")
    other = Network.random([2, 3, 2, 1], seed=1)
    with pytest.raises(FileFormatError, match=f"its fingerprint must be that of the run, {other.fingerprint}, but"):
        read_part(path, other, saved.domain)
    with pytest.raises(FileFormatError, match=r"its domain must be that of the run.*whole space.*, but it is .*box"):
        read_part(path, saved.network, enumerate_regions(saved.network).domain)
    with pytest.raises(FileFormatError, match=r"one part of a run: pass the directory of the run"):
        Regions.from_parquet(path)
    saved.to_parquet(path)
    with pytest.raises(FileFormatError, match="its metadata does not say that it is one"):
        read_part(path, saved.network, saved.domain)
    with pytest.raises(FileNotFoundError, match=r"nothing\.parquet"):
        read_part(tmp_path / "nothing.parquet", saved.network, saved.domain)
