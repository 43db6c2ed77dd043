"""Runs in directories: read part by part, whole, by other programs, and summed up without loading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import show
from tests.oracles.brute_force import brute_force_patterns
from tests.strategies import halfspaces, problems
from tropnet import (
    Box,
    Domain,
    FileFormatError,
    Layer,
    Network,
    Polytope,
    Regions,
    Run,
    RunError,
    count_regions,
    enumerate_regions,
)
from tropnet.regions.files import part_bytes
from tropnet.regions.runs.journal import Journal
from tropnet.regions.runs.state import Manifest, OpenSubtree, Piece

N = settings().max_examples
Problem = tuple[Network, Domain | None]
NET = Network.random([2, 5, 4, 3, 1], seed=0)
AFFINE = Network([Layer({0: [[1.0, 2.0]]}, [0.5])])


def part_of(regions: Regions, start: int, stop: int, *, facets: bool) -> Regions:
    """Return some of the regions, with facets or without."""
    exact = {i - start: x for i, x in regions.rational_witnesses.items() if start <= i < stop}
    packed_facets = regions.packed_facets if facets else None
    return replace(
        regions,
        packed=regions.packed[start:stop],
        packed_cuts=regions.packed_cuts[start:stop],
        witnesses=regions.witnesses[start:stop],
        rational_witnesses=exact,
        packed_facets=None if packed_facets is None else packed_facets[start:stop],
    )


def write_run(
    path: Path,
    regions: Regions,
    ends: list[int],
    facets: Callable[[int], bool] = lambda _: True,
    *,
    open_at_end: bool = False,
) -> Run:
    """Write regions as a run whose parts end at some places, with the facets in some of them."""
    identity = {"network": regions.network.fingerprint, "domain": regions.domain.description}
    with Journal(path, regions.network, Manifest("regions", identity)) as journal:
        took = [0]
        for i, (start, stop) in enumerate(pairwise([0, *ends])):
            part = part_of(regions, start, stop, facets=facets(i))
            left = [OpenSubtree("01", 0.5)] if open_at_end or stop < ends[-1] else []
            data = part_bytes(part._columns, regions.network.fingerprint) if len(part) else None
            took = journal.finish(Piece(took, left, len(part), data, counters={"decisions": 2}, seconds=0.5))
    return Run(path)


def check_same(run: Run, regions: Regions, *, facets: bool) -> None:
    """Fail unless a run is these regions, in this order."""
    assert (len(run), run.n_regions) == (len(regions), len(regions))
    assert run.network.fingerprint == regions.network.fingerprint
    assert (repr(run.domain), run.domain.description) == (repr(regions.domain), regions.domain.description)
    parts = list(run.iter_parts())
    assert not any(part.complete for part in parts)
    for found in (parts, [run.regions()], [Regions.from_parquet(run.path)]):
        for name in ("packed", "packed_cuts", "witnesses"):
            assert [row for part in found for row in getattr(part, name).tolist()] == getattr(regions, name).tolist()
        assert [r.certificate.fractions for part in found for r in part] == [r.certificate.fractions for r in regions]
    assert [r.certificate.fractions for r in run] == [r.certificate.fractions for r in regions]
    whole = run.regions()
    assert (whole.complete, whole.undecided, dict(whole.stats)) == (run.complete, run.undecided, dict(run.stats))
    assert (whole.packed_facets is not None) == facets
    if whole.packed_facets is not None and regions.packed_facets is not None:
        assert whole.packed_facets.tolist() == regions.packed_facets.tolist()


@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=6), data=st.data())
def test_a_run_is_its_regions(problem: Problem, data: st.DataObject) -> None:
    """However they are parted, with facets in all parts, some or none, what is read and summed up is the same."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    ends = [*sorted(data.draw(st.lists(st.integers(0, len(regions)), max_size=3))), len(regions)]
    known = data.draw(st.lists(st.booleans(), min_size=len(ends), max_size=len(ends)))
    with TemporaryDirectory() as directory:
        run = write_run(Path(directory) / "run", regions, ends, lambda i: known[i])
        sizes = [stop - start for start, stop in pairwise([0, *ends])]
        check_same(run, regions, facets=all(flag for flag, size in zip(known, sizes, strict=True) if size))
        assert run.complete
        assert (run.stats["decisions"], run.stats["seconds"]) == (2 * len(ends), 0.5 * len(ends))
        counts = [len(region.facets()) for region in regions]
        assert run.facet_histogram().tolist() == [counts.count(k) for k in range(max(counts) + 1)]
        sides = halfspaces(domain, net.n_inputs)
        # Brute force over the patterns of the network cut off after each layer.
        expected = []
        for n in range(1, len(net.layers)):
            output = Layer({n: np.ones((1, net.widths[n - 1]))}, np.zeros(1))
            expected.append(len(brute_force_patterns(Network([*net.layers[:n], output], net.n_inputs), sides)))
        assert run.count_by_layer().tolist() == expected
        assert run.volume() == pytest.approx(regions.volumes().sum(), rel=1e-9)


def test_volumes_add_up_to_that_of_the_domain(tmp_path: Path) -> None:
    """Of a box, of a flat one, of a polytope; those of an unbounded domain to infinity, those of no regions to 0."""
    flat = Network.random([3, 5, 1], seed=0)
    for i, (net, domain, volume) in enumerate(
        [
            (NET, Box(-1, [1, 2]), 6.0),
            (NET, Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0]), 0.5),
            (flat, Box([-1, 0.25, 0], [1, 0.25, 3]), 6.0),
            (NET, None, inf),
            (Network.random([1, 2, 1], seed=0), Box(-1.5e308, 1.5e308), 1.7976931348623157e308),
        ]
    ):
        run = enumerate_regions(net, domain, out=tmp_path / f"run{i}")
        assert run.volume(progress=True) == pytest.approx(volume, rel=1e-9)
    empty = write_run(tmp_path / "empty", part_of(enumerate_regions(NET), 0, 0, facets=True), [0], open_at_end=True)
    assert (empty.volume(), empty.facet_histogram().tolist(), empty.count_by_layer().tolist()) == (0, [0], [0, 0, 0])
    assert (len(empty.regions()), list(empty), empty.complete) == (0, [], False)


def test_the_last_layer_may_be_the_only_one(tmp_path: Path) -> None:
    """Without hidden layers there is one region, and nothing to count by layer."""
    run = enumerate_regions(AFFINE, Box(-1, 1), out=tmp_path / "run")
    assert run.count_by_layer(progress=True).tolist() == []
    assert run.facet_histogram(progress=True).tolist() == [0, 0, 0, 0, 1]
    run = enumerate_regions(Network.random([2, 3, 1], seed=0), out=tmp_path / "shallow")
    assert run.count_by_layer().tolist() == [7]


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    """It holds what was found until then; what stayed undecided or failed is told."""
    regions = enumerate_regions(NET, Box(-1, 1), facets=True)
    run = write_run(tmp_path / "run", regions, [3, 9], open_at_end=True)
    assert (len(run), run.complete, run.failed, run.undecided) == (9, False, {}, ())
    assert not run.regions().complete
    assert repr(run) == (
        f"Run({str(tmp_path / 'run')!r}: 9 activation regions in Box([-1.0, -1.0], [1.0, 1.0]), incomplete,"
        " 0 undecided)"
    )
    with Journal(tmp_path / "run", NET, Manifest("regions", {**identity(regions)})) as journal:
        (number,) = journal.state.open
        journal.fail(number, "MemoryError: too large")
    assert Run(tmp_path / "run").failed == {"01": "MemoryError: too large"}
    with Journal(tmp_path / "run", NET, Manifest("regions", {**identity(regions)})) as journal:
        journal.finish(Piece([number], [], 0, None, undecided=["011"]))
    again = Run(tmp_path / "run")
    assert (again.complete, again.undecided, again.failed) == (False, ((False, True, True),), {})
    assert again.regions().undecided == again.undecided
    assert (len(run), len(again)) == (9, 9)


def identity(regions: Regions) -> dict[str, object]:
    """Return what the runs of these tests are of."""
    return {"network": regions.network.fingerprint, "domain": regions.domain.description}


@pytest.fixture(scope="module")
def saved() -> Regions:
    return enumerate_regions(NET, Box(-1, 1), facets=True)


READERS: dict[str, Callable[[Run], object]] = {
    "regions": Run.regions,
    "iter_parts": lambda run: list(run.iter_parts()),
    "iter": list,
    "volume": Run.volume,
    "facet_histogram": Run.facet_histogram,
    "count_by_layer": Run.count_by_layer,
    "from_parquet": lambda run: Regions.from_parquet(run.path),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_a_run_has_lost_is_named(reader: str, saved: Regions, tmp_path: Path) -> None:
    """A part that is missing, cut short, damaged, or that of another piece is refused by its name."""
    run = write_run(tmp_path / "run", saved, [5, 9, len(saved)])
    first, second = (tmp_path / "run/parts" / name for name in ("00000001.parquet", "00000002.parquet"))
    data = second.read_bytes()
    READERS[reader](run)
    for content, reason in (
        (data[:-1], "is not a complete part of this run"),
        (data[:100], "is not a complete part of this run"),
        (data.replace(b'"part_of_run": true', b'"part_of_run": 1234'), "do not match their checksum"),
        (first.read_bytes(), "must hold 4 regions by the journal of the run, but it holds 5: it is another part"),
        (None, "must be a part of the run, but is missing: put it back"),
    ):
        second.unlink() if content is None else second.write_bytes(content)
        with pytest.raises(FileFormatError, match=rf"00000002.parquet'.*{reason}"):
            READERS[reader](run)


@pytest.mark.parametrize("reader", READERS)
def test_a_run_that_counts_has_no_regions(reader: str, tmp_path: Path) -> None:
    """It has their number; whoever asks for more is told in one line."""
    n = count_regions(NET, Box(-1, 1), out=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert (run.kind, len(run), run.n_regions, run.complete) == ("count", n, n, True)
    with pytest.raises(RunError, match=r"^'.*run' must be a run with regions, but it only counts them: Run\.n_regions"):
        READERS[reader](run)


def test_only_parts_of_the_journal_are_read(saved: Regions, tmp_path: Path) -> None:
    """What a killed process has left beside them does not count."""
    run = write_run(tmp_path / "run", saved, [5, len(saved)])
    parts = tmp_path / "run/parts"
    (parts / "00000009.parquet").write_bytes((parts / "00000001.parquet").read_bytes())
    (parts / ".00000003.parquet.x.part").write_bytes(b"PAR1")
    check_same(run, saved, facets=True)
    assert run.files == (parts / "00000001.parquet", parts / "00000002.parquet")


def test_the_network_is_that_of_the_run(saved: Regions, tmp_path: Path) -> None:
    """A directory that holds another network is refused, as is one that is no run."""
    run = write_run(tmp_path / "run", saved, [len(saved)])
    Network.random([2, 5, 4, 3, 1], seed=1).save(tmp_path / "run/network.npz")
    with pytest.raises(FileFormatError, match=r"must hold the network of the run, .* but its network.npz is"):
        run.regions()
    with pytest.raises(FileFormatError, match=r"must be the directory of a run: it holds no manifest\.json"):
        Regions.from_parquet(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Run(tmp_path / "nowhere")


def bits(rows: Iterator[bytes], n: int) -> list[list[int]]:
    """Unpack bits as the documentation says."""
    return [np.unpackbits(np.frombuffer(row, np.uint8), bitorder="little", count=n).tolist() for row in rows]


def test_other_programs_read_the_parts(saved: Regions, tmp_path: Path) -> None:
    """All parts at once, by pandas, Polars and DuckDB: patterns, cuts, facets, coordinates, exact points."""
    exact = {1: (saved[1].certificate.fractions), len(saved) - 1: saved[-1].certificate.fractions}
    run = write_run(tmp_path / "run", replace(saved, rational_witnesses=exact), [5, 9, len(saved)])
    parts = run.path / "parts"
    frames = {
        "pandas": pandas.read_parquet(parts),
        "polars": polars.read_parquet(parts / "*.parquet"),
        "duckdb": duckdb.read_parquet(f"{parts}/*.parquet", filename=True).order("filename").df(),
    }
    n, m = NET.n_neurons, len(saved.domain.row_numbers)
    assert saved.packed_facets is not None
    for frame in frames.values():
        assert list(frame.columns)[:6] == ["pattern", "cuts", "facets", "x0", "x1", "witness"]
        assert bits(iter(frame["pattern"]), n) == saved.patterns.astype(int).tolist()
        assert bits(iter(frame["cuts"]), n) == [region.cuts.astype(int).tolist() for region in saved]
        flags = np.unpackbits(saved.packed_facets, axis=1, bitorder="little", count=n + m)
        assert bits(iter(frame["facets"]), n + m) == flags.tolist()
        assert np.column_stack([frame["x0"], frame["x1"]]).tolist() == saved.witnesses.tolist()
        texts = {i: text for i, text in enumerate(frame["witness"]) if isinstance(text, str)}
        assert texts == {i: " ".join(map(str, x)) for i, x in exact.items()}
