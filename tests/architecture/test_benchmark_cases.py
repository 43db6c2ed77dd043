"""What benchmarks measure and how they count: cases, floors, and other programs' answers; nothing is timed here."""

import numpy as np
import pytest

import tropnet as tn
from benchmarks import before_after
from benchmarks.floor import floor
from benchmarks.networks import PLANE, SMALL_BOXES
from benchmarks.peers import patterns_at
from benchmarks.published import TIES, input_box, published, resonance

# Two lines through 0, and the sum of the positive parts against 1: four quadrants, three of them cut.
BENT = tn.Network.mlp([np.eye(2), np.ones((1, 2)), [[1.0]]], [[0.0, 0.0], [-1.0], [0.0]])


def test_the_floor_of_a_network_counted_by_hand():
    """One cell enters the first layer and four the second; three numbers a row, two neurons and one."""
    found = floor(BENT, tn.enumerate_regions(BENT).patterns)
    assert found.cells == (1, 4, 7)
    assert found.composition == 4 * 1 * 3
    assert found.ranges == 1 * 2 * 3 + 4 * 1 * 3
    assert found.decisions == 2 * 3 * 6
    assert found.per_region == (12 + 18 + 36) / 7


def test_a_layer_that_reads_two_layers_is_composed_from_both():
    """With a skip from the first layer to the third its rows change with the cells of both."""
    net = tn.Network.random([2, 3, 3, 3, 1], skips=[(1, 3)], seed=0)
    chain = tn.Network([*net.layers[:2], tn.Layer({2: net.layers[2].weights[2]}, net.layers[2].bias), net.layers[3]])
    patterns = tn.enumerate_regions(net).patterns
    with_skip, without = floor(net, patterns), floor(chain, patterns)
    assert with_skip.composition - without.composition == with_skip.cells[1] * 3 * 3


def test_models_are_found_by_name_in_any_folder(tmp_path, monkeypatch):
    """Without a folder there are no published networks, and what is missing in one is left out."""
    monkeypatch.delenv("TROPNET_MODELS", raising=False)
    assert published() == []
    (tmp_path / "deep").mkdir()
    for name in ("vdp.onnx", "other.onnx", "ACASXU_run2a_1_1_batch_2000.onnx", "ACASXU_run2a_1_2_batch_2000.onnx"):
        (tmp_path / "deep" / name).touch()
    (tmp_path / "prop_3.vnnlib").write_text("(assert (<= X_0 0.5))\n(assert (>= X_0 -1e-1))\n")
    monkeypatch.setenv("TROPNET_MODELS", str(tmp_path))
    assert list(map(str, published())) == ["ACAS Xu 1_1, property 3", "ACAS Xu 1_1, all inputs", "vdp, unit cube"]


def test_the_box_of_a_property():
    """Sides can come in any order."""
    box = input_box("(assert (>= X_1 -2))(assert (<= X_0 0.5))(assert (<= X_1 3e0))(assert (>= X_0 -1.5))")
    assert (box.low.tolist(), box.high.tolist()) == ([-1.5, -2.0], [0.5, 3.0])


@pytest.mark.parametrize(("d", "n_regions"), [(2, 6), (3, 32)])
def test_resonance_is_what_it_is_called(d, n_regions):
    """The sequence of the resonance arrangements, OEIS A034997."""
    assert tn.count_regions(resonance(d)) == n_regions


def test_cases_of_ties_are_drawn_afresh_and_equal():
    """So that no run finds what another left behind."""
    for case in TIES:
        one, other = case.network(0), case.network(1)
        assert one is not other
        assert one.fingerprint == other.fingerprint
        assert one.n_inputs == case.inputs


def test_patterns_around_vertices():
    """Two crossing lines in a box: the crossing has all four patterns, and corners have their own."""
    signs = np.array([[0, 0], [1, 1], [1, 0], [-1, 0]], dtype=np.int8)
    assert set(map(tuple, patterns_at(signs).tolist())) == {(a, b) for a in (True, False) for b in (True, False)}


def test_rows_have_names_of_their_own():
    """A worker is told its row by name."""
    rows = before_after.rows()
    assert len(set(map(str, rows))) == len(rows)
    assert {row.case for row in rows} >= {*PLANE, *SMALL_BOXES, *TIES}


def test_table_of_two_versions():
    """Medians in milliseconds, the median ratio of pairs, and how many times another program's time is ours."""
    row = {"network": "2-4", "domain": "half-width 1", "work": "count", "answer": 1234}
    row |= {"seconds_before": [0.004, 0.002], "seconds_after": [0.001, 0.001], "times_as_fast": 3.0}
    text = before_after.table([row, row | {"peer": "regioncam", "seconds_peer": 0.0025}])
    assert "| 2-4 | half-width 1 | count | 1,234 | 3 | 1 | 3 |  |" in text
    assert "| 3 | 2.5 (regioncam) |" in text
