"""Algorithm 3: the cached predictor gives the network's values and honest statistics."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.checks import show
from tests.strategies import networks, points
from tropnet import CachedPredictor, FileFormatError, Network, compile_regions
from tropnet.archives import archive_bytes, read_archive

N = settings().max_examples
# The regions of the line are (-inf, 0], (0, 1], (1, 2], (2, 3], (3, inf): bits of x > 0, 1, 2, 3.
STAIRS = Network.mlp([np.ones((4, 1)), [[1.0, 2.0, 4.0, 8.0]]], [[0.0, -1.0, -2.0, -3.0], [0.5]])


@settings(max_examples=N)
@given(data=st.data())
def test_predictions_are_the_networks(data: st.DataObject) -> None:
    """Outputs equal the network's at one point and at many, from a new cache and from a filled one."""
    net = data.draw(networks(nearly_degenerate=False))
    show(net, None)
    predict = CachedPredictor(net, max_size=data.draw(st.integers(1, 4)))
    batch = data.draw(points(net.n_inputs, 8))
    for _ in range(2):
        assert predict(batch) == pytest.approx(net(batch), rel=1e-9, abs=1e-6)
        assert predict(batch[0]) == pytest.approx(net(batch[0]), rel=1e-9, abs=1e-6)
    assert predict(batch).shape == (8, net.n_outputs)
    assert predict(batch[0]).shape == (net.n_outputs,)


def test_an_empty_batch_has_no_outputs() -> None:
    """No points give no outputs and count nothing."""
    predict = CachedPredictor(STAIRS)
    assert predict(np.empty((0, 1))).shape == (0, 1)
    assert predict.info()[:3] == (0, 0, 0)


def test_a_network_without_hidden_layers_has_one_map() -> None:
    """With one region, all points after the first are hits."""
    predict = CachedPredictor(Network.mlp([[[2.0]]], [[1.0]]))
    assert predict([[1.0], [2.0], [3.0]]).ravel().tolist() == [3.0, 5.0, 7.0]
    assert predict.info()[:3] == (2, 1, 1)


def test_the_statistics_count_points() -> None:
    """A point is a miss iff it is the first of its region that the cache meets, else a hit."""
    predict = CachedPredictor(STAIRS)
    predict([[0.5], [0.6], [1.5], [0.7]])
    assert predict.info() == (2, 2, 2, 10_000)
    predict([1.7])
    assert predict.info() == (3, 2, 2, 10_000)
    predict([[2.5], [0.5]])
    assert predict.info() == (4, 3, 3, 10_000)


@settings(max_examples=N)
@given(batches=st.lists(st.lists(st.integers(-1, 4), min_size=1, max_size=12), max_size=6))
def test_an_unbounded_cache_misses_each_region_once(batches: list[list[int]]) -> None:
    """Over any batches, misses are the number of regions met, and hits the rest of the points."""
    predict = CachedPredictor(STAIRS)
    for batch in batches:
        predict([[x + 0.5] for x in batch])
    regions = {min(max(x, -1), 3) for batch in batches for x in batch}
    n_points = sum(map(len, batches))
    assert predict.info() == (n_points - len(regions), len(regions), len(regions), 10_000)


@settings(max_examples=N)
@given(steps=st.lists(st.integers(-1, 3), min_size=12, max_size=30), max_size=st.integers(2, 4))
@example(steps=[0, 1, 0, 2, 0], max_size=2)
@example(steps=[0, 0, 1, 0], max_size=1)
def test_the_least_recently_used_map_goes_first(steps: list[int], max_size: int) -> None:
    """Point by point, hits and misses are those of a list in order of use that forgets its oldest entry."""
    predict = CachedPredictor(STAIRS, max_size=max_size)
    recent: list[int] = []
    counts: Counter[str] = Counter()
    for step in steps:
        counts["hit" if step in recent else "miss"] += 1
        recent = [*(r for r in recent if r != step), step][-max_size:]
        assert predict([step + 0.5]).tolist() == pytest.approx(STAIRS([step + 0.5]).tolist())
        assert predict.info() == (counts["hit"], counts["miss"], len(recent), max_size)


def test_a_batch_of_more_regions_than_the_cache_holds_is_right() -> None:
    """The bound holds within one batch too, and evicted maps are made again."""
    predict = CachedPredictor(STAIRS, max_size=2)
    batch = np.array([[-0.5], [0.5], [1.5], [2.5], [3.5]])
    for _ in range(3):
        assert predict(batch) == pytest.approx(STAIRS(batch))
        assert predict.info().size == 2
    assert sum(predict.info()[:2]) == 15


def test_clear_empties_cache_and_statistics() -> None:
    """After `clear` the predictor is as new."""
    predict = CachedPredictor(STAIRS, max_size=3)
    predict([[0.5], [1.5]])
    predict.clear()
    assert predict.info() == (0, 0, 0, 3)
    predict([0.5])
    assert predict.info() == (0, 1, 1, 3)


@pytest.mark.parametrize("max_size", [0, -1, 2.5, None])
def test_a_cache_holds_at_least_one_map(max_size: int) -> None:
    """A bound below 1 is refused."""
    with pytest.raises(ValueError, match=f"max_size must be an integer of at least 1, got {max_size}"):
        CachedPredictor(STAIRS, max_size=max_size)


@pytest.mark.parametrize("max_size", [3, 1000])
def test_threads_share_a_predictor(max_size: int) -> None:
    """Eight threads at once get the network's values; every point is counted once, the bound holds at all times."""
    net = Network.random([2, 16, 16, 1], seed=0)
    predict = CachedPredictor(net, max_size=max_size)
    rng = np.random.default_rng(0)
    batches = [rng.normal(scale=3, size=(20, 2)) for _ in range(60)]
    start = threading.Barrier(8)
    sizes: list[int] = []

    def work(thread: int) -> float:
        start.wait()
        worst = 0.0
        for batch in batches[thread % 4 :: 2]:
            worst = max(worst, float(np.abs(predict(batch) - net(batch)).max()))
            sizes.append(predict.info().size)
        return worst

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) < 1e-9
    info = predict.info()
    asked = sum(len(batches[thread % 4 :: 2]) for thread in range(8)) * 20
    assert info.hits + info.misses == asked
    assert max(sizes) <= max_size
    assert info.hits > 0
    if max_size == 1000:
        n_regions = len(np.unique(net.activation_pattern(np.concatenate(batches)), axis=0))
        assert info.size == n_regions
        # Two threads may make the same map at once; no more than one per thread can.
        assert n_regions <= info.misses <= 8 * n_regions


def test_warming_holds_the_maps_of_most_points() -> None:
    """Regions of many points are kept; the statistics count predictions only; a warmed region is a hit."""
    predict = CachedPredictor(STAIRS, max_size=2)
    assert predict.warm([[0.5], [1.5], [1.6], [2.5], [2.6], [2.7]]) is predict
    assert predict.info() == (0, 0, 2, 2)
    predict([[1.5], [2.5]])
    assert predict.info() == (2, 0, 2, 2)
    predict([0.5])
    assert predict.info() == (2, 1, 2, 2)
    assert predict.warm(np.empty((0, 1))).info().size == 2


@pytest.mark.parametrize("max_size", [3, 100])
def test_files(max_size: int, tmp_path: Path) -> None:
    """Maps, their order of use, the bound and the network come back; the statistics begin again."""
    net = Network.random([2, 8, 8, 3], seed=0)
    predict = CachedPredictor(net, max_size=max_size)
    x = np.random.default_rng(0).normal(size=(50, 2))
    predict(x)
    predict.save(tmp_path / "cache.npz")
    again = CachedPredictor.load(tmp_path / "cache.npz")
    assert again.info() == (0, 0, predict.info().size, max_size)
    assert list(again._maps) == list(predict._maps)
    assert again(x) == pytest.approx(net(x))
    if max_size == 100:
        assert again.info().misses == 0


def test_a_network_without_hidden_layers_can_be_saved(tmp_path: Path) -> None:
    """Its one pattern has no bits."""
    predict = CachedPredictor(Network.mlp([[[2.0]]], [[1.0]])).warm([[1.0]])
    predict.save(tmp_path / "cache.npz")
    assert CachedPredictor.load(tmp_path / "cache.npz")([3.0]).tolist() == [7.0]
    CachedPredictor(STAIRS).save(tmp_path / "empty.npz")
    assert CachedPredictor.load(tmp_path / "empty.npz").info().size == 0


@pytest.mark.parametrize("name", ["packed", "max_size", "network"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    """Arrays that do not fit each other, the network or the bound."""
    path = tmp_path / "cache.npz"
    CachedPredictor(STAIRS).warm([[0.5], [1.5]]).save(path)
    arrays = read_archive(path, "cached predictor", 1)
    arrays[name] = np.array(1) if name == "max_size" else arrays[name][..., :0]
    path.write_bytes(archive_bytes("cached predictor", 1, arrays))
    with pytest.raises(FileFormatError, match="damaged cached predictor"):
        CachedPredictor.load(path)


def test_copies_share_nothing() -> None:
    """Pickled and copied predictors hold the same maps, and their own from then on."""
    predict = CachedPredictor(STAIRS).warm([[0.5]])
    for again in (
        pickle.loads(pickle.dumps(predict)),  # noqa: S301 (our own)
        copy.deepcopy(predict),
        copy.copy(predict),
    ):
        again([[1.5], [0.5]])
        assert (again.info().size, predict.info().size) == (2, 1)
        assert repr(again) == "CachedPredictor(Network(1-4-1), 2 of at most 10000 maps)"


@pytest.mark.parametrize(
    ("weights", "x"),
    [
        ((1e200, 1e200, 1.0), 1e-150),
        ((1e-160, 1e-160, 1e160, 1e150), 1e20),
        ((1e-200, 1e-200, 1e200, 1.0), 1e300),
    ],
)
def test_products_of_weights_that_no_float_holds(weights: tuple[float, ...], x: float) -> None:
    """Maps whose entries, or the products on the way to them, over- or underflow."""
    net = Network.mlp([[[w]] for w in weights], [[0.0]] * len(weights))
    expected = float(math.prod(map(Fraction, weights)) * Fraction(x))
    assert CachedPredictor(net)([x]) == pytest.approx(expected, rel=1e-12)
    assert compile_regions(net)([x]) == pytest.approx(expected, rel=1e-12)
