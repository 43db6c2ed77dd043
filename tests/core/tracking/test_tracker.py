"""Tracked regions are those of each network by itself, compared as sets of patterns."""

from itertools import pairwise

import numpy as np
import pytest

import tropnet as tn
from tests.damage import check_damaged
from tests.oracles.brute_force import brute_force_patterns
from tropnet.tracking.pattern_table import PatternTable, _hashes

WIDTHS = (2, 5, 4, 3, 1)
BOX = tn.Box([-2, -1], [1, 3])


def moving(n_steps, widths=WIDTHS, skips=(), size=0.15, seed=0):
    """Return networks whose weights walk at random, the last but one as the first: some of its patterns come back."""
    rng = np.random.default_rng(seed)
    start = tn.Network.random(widths, seed=seed)
    weights = [layer.weights[k].copy() for k, layer in enumerate(start.layers)]
    biases = [layer.bias.copy() for layer in start.layers]
    nets = []
    for _ in range(n_steps):
        nets.append(tn.Network.mlp(weights, biases, skips))
        weights = [weight + size * rng.normal(size=weight.shape) for weight in weights]
        biases = [bias + size * rng.normal(size=bias.shape) for bias in biases]
    return [*nets[:-1], nets[0], nets[-1]]


def patterns(net, domain=BOX):
    """Return the patterns of a network as a set."""
    return set(map(tuple, tn.enumerate_regions(net, domain).patterns.tolist()))


def tracked(nets, domain=BOX, **options):
    tracker = tn.RegionTracker(domain, **options)
    for net in nets:
        tracker.add(net)
    return tracker


def same(one, other):
    """Check that two trackers hold the same."""
    for name in ("steps", "counts", "counts_by_layer", "births", "deaths", "complete", "patterns"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for i in range(len(one)):
        assert np.array_equal(one.numbers(i), other.numbers(i))


# --- tables


@pytest.mark.parametrize("skips", [(), [(1, 3)]])
@pytest.mark.parametrize("domain", [BOX, None])
def test_births_and_deaths_are_differences_of_sets(skips, domain):
    """Of the patterns of one step and the next; at the first step there are none."""
    nets = moving(6, (2, 4, 4, 4, 1), skips)
    tracker = tracked(nets, domain)
    sets = [patterns(net, domain) for net in nets]
    assert tracker.counts.tolist() == list(map(len, sets))
    assert tracker.births.tolist() == [0, *(len(now - before) for before, now in pairwise(sets))]
    assert tracker.deaths.tolist() == [0, *(len(before - now) for before, now in pairwise(sets))]
    assert min(tracker.births[1:]) > 0
    assert min(tracker.deaths[1:]) > 0
    assert tracker.complete.all()


def test_patterns_are_those_of_brute_force():
    """Every bit vector tried, on each step."""
    nets = moving(4, (2, 3, 3, 1))
    tracker = tracked(nets)
    A, b = tracker.domain.halfspaces
    for i, net in enumerate(nets):
        found = set(map(tuple, tracker.patterns[tracker.numbers(i)].tolist()))
        assert found == brute_force_patterns(net, list(zip(A, b, strict=True)))


def test_a_pattern_keeps_its_number():
    """Two regions of any two steps have one number iff they have one pattern, and one that comes back has its own."""
    nets = moving(6)
    tracker = tracked(nets)
    number_of = {}
    for i, net in enumerate(nets):
        regions = tn.enumerate_regions(net, BOX)
        numbers = tracker.numbers_of(regions)
        assert sorted(numbers) == tracker.numbers(i).tolist()
        for pattern, number in zip(map(tuple, regions.patterns.tolist()), numbers.tolist(), strict=True):
            assert number_of.setdefault(pattern, number) == number
    assert sorted(number_of.values()) == list(range(len(tracker.patterns)))
    back = patterns(nets[-2]) - patterns(nets[-3])
    assert back
    assert {number_of[pattern] for pattern in back} <= set(tracker.numbers(0).tolist())


def test_counts_by_layer_are_those_of_shorter_networks():
    """The regions of the first layers, enumerated without the later ones."""
    nets = moving(3)
    tracker = tracked(nets)
    for i, net in enumerate(nets):
        for n in range(1, 4):
            output = tn.Layer({n: np.ones((1, WIDTHS[n]))}, np.zeros(1))
            shorter = tn.Network([*net.layers[:n], output])
            assert tracker.counts_by_layer[i, n - 1] == tn.count_regions(shorter, BOX)
    assert tracker.counts_by_layer[:, -1].tolist() == tracker.counts.tolist()


def test_a_network_without_hidden_layers_has_one_region():
    """It has no neuron, hence one pattern, which stays."""
    nets = [tn.Network.mlp([[[1.0, slope]]], [[0.0]]) for slope in (1, 2)]
    tracker = tracked(nets)
    assert tracker.counts.tolist() == [1, 1]
    assert tracker.births.tolist() == tracker.deaths.tolist() == [0, 0]
    assert tracker.counts_by_layer.shape == (2, 0)


def test_incomplete_lists_leave_births_and_deaths_open():
    """Beyond max_regions what is not listed may be there: -1 beside an incomplete step."""
    nets = moving(6)
    counts = [len(patterns(net)) for net in nets]
    limit = int(np.median(counts))
    tracker = tracked(nets, max_regions=limit)
    expected = [count < limit or count == limit for count in counts]
    assert tracker.counts.tolist() == [min(count, limit) for count in counts]
    assert not all(tracker.complete)
    assert any(tracker.complete)
    sets = list(map(patterns, nets))
    for i in range(1, len(nets)):
        both = tracker.complete[i - 1] and tracker.complete[i]
        assert tracker.births[i] == (len(sets[i] - sets[i - 1]) if both else -1)
        assert tracker.deaths[i] == (len(sets[i - 1] - sets[i]) if both else -1)
    assert all(known or not complete for known, complete in zip(expected, tracker.complete, strict=True))


def test_two_patterns_with_one_hash_are_told_apart():
    """Of two words the second makes up for the first; bits decide."""
    first = np.random.default_rng(0).integers(0, 256, (2, 8), dtype=np.uint8)
    mixed = _hashes(first)
    second = np.array([0, mixed[0] ^ mixed[1]], dtype=np.uint64).view(np.uint8).reshape(2, 8)
    both = np.concatenate([first, second], axis=1)
    assert len(set(_hashes(both).tolist())) == 1
    for order in ([0, 1], [1, 0]):
        table = PatternTable(both[:0])
        assert table.add(both[order[:1]]).tolist() == [0]
        assert table.find(both[order]).tolist() == [0, -1]
        assert table.add(both[order]).tolist() == [0, 1]
        assert table.find(both[order]).tolist() == [0, 1]
        assert table.find(both[order[::-1]]).tolist() == [1, 0]


# --- what is kept, and files


def test_regions_of_a_step_come_back():
    """With two inputs by default, with more where it is asked for; else one line says how."""
    nets = moving(3, (3, 4, 3, 1))
    kept = tracked(nets, tn.Box(-1, 1), keep_networks=True)
    assert set(map(tuple, kept.regions(1).patterns.tolist())) == patterns(nets[1], tn.Box(-1, 1))
    assert len(tracked(moving(2)).regions(-1)) == len(patterns(moving(2)[-1]))
    with pytest.raises(ValueError, match=r"make RegionTracker\(\.\.\., keep_networks=True\)"):
        tracked(nets, tn.Box(-1, 1)).regions(0)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("domain", [BOX, None, tn.Polytope([[1, 1], [-1, 0], [0, -1]], [3, 1, 1])])
def test_files_round_trip(domain, keep, tmp_path):
    """What is read is what was written, and goes on as if it had never stopped."""
    nets = moving(5, (2, 4, 4, 1))
    whole = tracked(nets, domain, keep_networks=keep)
    half = tracked(nets[:3], domain, keep_networks=keep)
    half.to_npz(tmp_path / "half.npz")
    read = tn.RegionTracker.from_npz(tmp_path / "half.npz")
    same(read, half)
    for net in nets[3:]:
        read.add(net)
    same(read, whole)
    assert read.domain.description == whole.domain.description
    if keep:
        assert [len(read.regions(i)) for i in range(len(read))] == read.counts.tolist()


def test_options_are_kept_in_files(tmp_path):
    """A tracker that is read stops at the same number of regions."""
    nets = moving(2)
    tracked(nets[:1], max_regions=5).to_npz(tmp_path / "few.npz")
    read = tn.RegionTracker.from_npz(tmp_path / "few.npz")
    read.add(nets[1])
    assert read.counts.tolist() == [5, 5]


def test_damaged_files_are_refused(tmp_path):
    """A bit changed before the list of the archive's members is noticed, or changes nothing."""
    tracker = tracked(moving(2, (2, 3, 1)))
    path = tmp_path / "tracked.npz"
    tracker.to_npz(path)
    end = path.read_bytes().index(b"PK\1\2")
    check_damaged(path, tn.RegionTracker.from_npz, lambda read: same(read, tracker), range(0, end, 7))


def test_other_files_are_refused(tmp_path):
    """Regions are no tracked regions."""
    tn.enumerate_regions(moving(1)[0], BOX).to_npz(tmp_path / "regions.npz")
    with pytest.raises(tn.FileFormatError, match="must hold a tropnet tracked regions, but it holds regions"):
        tn.RegionTracker.from_npz(tmp_path / "regions.npz")


# --- misuse


def test_misuse_is_told_in_one_line(tmp_path):
    """What was required, what came, what to do."""
    tracker = tn.RegionTracker(BOX)
    for use in (tracker.plot, lambda: tracker.write_animation("x.gif"), lambda: tracker.to_npz(tmp_path / "x")):
        with pytest.raises(ValueError, match=r"there are no steps yet: call add\(net\) or callback\(module\) first\."):
            use()
    with pytest.raises(tn.UnsupportedModuleError):
        tracker.add("a network")
    tracker.add(moving(1)[0], 10)
    with pytest.raises(tn.ShapeError, match="the shape of those before, 2-5-4-3, got 2-5-4:"):
        tracker.add(tn.Network.random([2, 5, 4, 1]))
    with pytest.raises(ValueError, match="step must be larger than the last one, 10, got 10"):
        tracker.add(moving(1)[0], 10)
    with pytest.raises(IndexError, match="step number 1 does not exist: there are 1"):
        tracker.numbers(1)
    assert tracker.steps.tolist() == [10]
    tracker.add(moving(1)[0])
    assert tracker.steps.tolist() == [10, 11]


def test_a_step_that_fails_leaves_no_trace():
    """A domain of the wrong dimension is refused, and the next network may have any shape."""
    tracker = tn.RegionTracker(tn.Box([0, 0], [1, 1]))
    with pytest.raises(tn.DomainError):
        tracker.add(tn.Network.random([3, 2, 1], seed=0))
    tracker.add(tn.Network.random([2, 2, 1], seed=0))
    assert len(tracker) == 1
