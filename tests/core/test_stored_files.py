"""Files of every kind: those of earlier versions are read, those of later ones refused by both numbers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tropnet as tn
from tests.core.stored_files.make import BOX, NET

STORED = Path(__file__).parent / "stored_files"
POINTS = np.random.default_rng(0).uniform(-1, 1, (50, 2))


def check_network(net: tn.Network) -> None:
    assert net.fingerprint == NET.fingerprint


def check_regions(regions: tn.Regions | tn.Run) -> None:
    """Compare with what a search finds today, whatever the order."""
    found = regions.regions() if isinstance(regions, tn.Run) else regions
    expected = tn.enumerate_regions(NET, BOX, facets=True)
    check_network(found.network)
    assert (repr(found.domain), found.complete) == (repr(expected.domain), True)

    def rows(each: tn.Regions) -> list[tuple[Any, ...]]:
        facets = np.split(each.facets().rows, each.facets().offsets[1:-1])
        return sorted(zip(each.patterns.tolist(), map(np.ndarray.tolist, facets), strict=True))

    assert rows(found) == rows(expected)
    assert all(region.contains(x) for region, x in zip(found, found.witnesses, strict=True))


def check_predictor(predictor: tn.CompiledPredictor | tn.CachedPredictor) -> None:
    check_network(predictor.network)
    assert predictor(POINTS) == pytest.approx(NET(POINTS), rel=1e-12, abs=1e-12)


def check_tracker(tracker: tn.RegionTracker) -> None:
    assert (tracker.steps.tolist(), tracker.counts.tolist()) == ([3], [8])


def check_certificate(checked: tn.Checked) -> None:
    assert checked.n_regions == 8


# How each file is read, how what was read is checked, the kind as messages call it, and the newest version.
Kind = tuple[Callable[[Path], Any], Callable[[Any], None], str, int]
KINDS: dict[str, Kind] = {
    "network.npz": (tn.load, check_network, "network", 1),
    "regions.npz": (tn.Regions.from_npz, check_regions, "regions", 2),
    "regions.parquet": (tn.Regions.from_parquet, check_regions, "regions", 3),
    "run": (tn.Run, check_regions, "run", 1),
    "compiled.npz": (tn.CompiledPredictor.load, check_predictor, "compiled predictor", 1),
    "cached.npz": (tn.CachedPredictor.load, check_predictor, "cached predictor", 1),
    "tracked.npz": (tn.RegionTracker.from_npz, check_tracker, "tracked regions", 1),
    "certificate.parquet": (lambda path: tn.check(NET, path), check_certificate, "", 1),
}


def with_version(path: Path, version: int) -> None:
    """Let a file say that it is of another version."""
    if path.is_dir():
        manifest = path / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": version}))
    elif path.suffix == ".npz":
        np.savez(path, **{**np.load(path), "tropnet_version": np.array(version)})
    else:
        table = pq.read_table(path)
        metadata = dict(table.schema.metadata)
        for key in metadata.keys() & {b"tropnet", b"tropnet_certificate"}:
            metadata[key] = json.dumps(json.loads(metadata[key]) | {"version": version}).encode()
        pq.write_table(table.replace_schema_metadata(metadata), path)


def copied(name: str, folder: Path) -> Path:
    path = folder / name
    (shutil.copytree if (STORED / name).is_dir() else shutil.copy)(STORED / name, path)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_files_of_version_0_1_0_are_read(name, tmp_path):
    """They hold what was written; and they say their version where the next test changes it."""
    read, check, _, newest = KINDS[name]
    check(read(STORED / name))
    path = copied(name, tmp_path)
    with_version(path, newest)
    check(read(path))


@pytest.mark.parametrize("name", KINDS)
def test_files_of_later_versions_are_refused(name, tmp_path):
    """In one line, which names the file and both versions, and says what to do."""
    read, _, kind, newest = KINDS[name]
    path = copied(name, tmp_path)
    with_version(path, newest + 1)
    if name == "certificate.parquet":
        message = r"version 1, got 'tropnet certificate', version 2: check it with the tropnet that wrote it"
        with pytest.raises(tn.CertificateError, match=message):
            read(path)
        return
    with pytest.raises(tn.FileFormatError, match=re.escape(name)) as caught:
        read(path)
    expected = f"has format version {newest + 1} ({kind}), this tropnet reads up to {newest}; update tropnet."
    assert str(caught.value).endswith(f"' {expected}")


def test_what_is_within_a_file_may_be_of_a_later_version(tmp_path):
    """A predictor whose network is: the message names the file that there is."""
    path = copied("cached.npz", tmp_path)
    arrays = dict(np.load(path))
    (tmp_path / "network.npz").write_bytes(arrays["network"].tobytes())
    with_version(tmp_path / "network.npz", 7)
    np.savez(path, **{**arrays, "network": np.frombuffer((tmp_path / "network.npz").read_bytes(), np.uint8)})
    message = r"'.*cached\.npz' has format version 7 \(network\), this tropnet reads up to 1; update tropnet\."
    with pytest.raises(tn.FileFormatError, match=message):
        tn.CachedPredictor.load(path)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("network.npz", "run")])
def test_what_is_unknown_is_ignored(name, tmp_path):
    """More arrays, columns and keys of the metadata than this version knows; only those of a network are refused."""
    read, check, _, _ = KINDS[name]
    path = copied(name, tmp_path)
    if path.suffix == ".npz":
        np.savez(path, **np.load(path), remark=np.array("mine"))
    else:
        table = pq.read_table(path)
        metadata = table.schema.metadata | {b"remark": b"mine"}
        more = table.append_column("xtra", [list(range(len(table)))])
        pq.write_table(more.replace_schema_metadata(metadata), path)
    check(read(path))


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", None])
def test_what_is_no_version_is_damage(version, tmp_path):
    """A number that no version can have, or none."""
    path = copied("regions.parquet", tmp_path)
    with_version(path, version)
    with pytest.raises(tn.FileFormatError, match=rf"regions\.parquet.* its format version is {version!r}"):
        tn.Regions.from_parquet(path)
