"""The checker of certificates accepts what proves that regions are all, and refuses what does not, with a reason."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.checks import cell, share_a_facet
from tests.contract.engines.cases import COINCIDENT, DOMAINS, NETWORKS, Case
from tests.core.proofs.writing import statement_of, write
from tests.oracles.brute_force import brute_force_patterns, exact_affine_map
from tests.oracles.certificates import proof_of
from tests.oracles.statements import largest_value
from tests.strategies import halfspaces, networks, problems
from tropnet import Box, CertificateError, Layer, Network, Polytope, WholeSpace, check
from tropnet.proofs.statement import Bound, Empty, Hull

F = Fraction


@pytest.fixture
def path(tmp_path):
    """Where a certificate goes."""
    return tmp_path / "cert.parquet"


def refused(net, path, match, domain=None):
    """Fail unless the certificate is refused, in one line that says why."""
    with pytest.raises(CertificateError, match=match) as caught:
        check(net, path, domain)
    assert len(str(caught.value).splitlines()) == 1


# --- against the oracle


@pytest.mark.parametrize("domain", ["R^d", "box", "largest box", "thin slab", "cone at a vertex", "cross-polytope"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("d", [1, 2])
def test_all_regions_are_a_certificate(network, domain, d, path):
    """Of every kind of network and domain, the oracle's patterns with exact proofs are accepted."""
    case = Case(f"{network}, {domain}, {d}", NETWORKS[network](d), DOMAINS[domain](d))
    patterns = sorted(case.patterns)
    write(path, statement_of(case.net, case.domain), proof_of(case.net, case.sides, patterns))
    checked = check(case.net, path, case.domain or WholeSpace(d))
    assert checked.n_regions == len(patterns)
    assert checked.n_linear_regions is None
    assert checked.claims == ()


@pytest.mark.parametrize("network", ["generic", "duplicates", "antiparallel", "fan", "small integers", "dead", "skips"])
@pytest.mark.parametrize("domain", ["R^d", "box"])
def test_no_region_can_be_left_out(network, domain, path):
    """Without any one of the regions, the best forgery is refused, whatever number it states."""
    case = Case(f"{network}, {domain}, 2", NETWORKS[network](2), DOMAINS[domain](2))
    patterns = sorted(case.patterns)
    for left_out in patterns:
        rest = [pattern for pattern in patterns if pattern != left_out]
        write(path, statement_of(case.net, case.domain), proof_of(case.net, case.sides, rest))
        refused(case.net, path, r"is not proven")


@given(problems(2, max_neurons=5), st.data())
def test_drawn_problems(tmp_path_factory, problem, data):
    """All regions are accepted, some of them are not: on the plane, of degenerate networks, on all kinds of domains."""
    net, domain = problem
    path = tmp_path_factory.mktemp("drawn") / "cert.parquet"
    sides = halfspaces(domain, 2)
    patterns = sorted(brute_force_patterns(net, sides))
    note(f"{len(patterns)} patterns")
    write(path, statement_of(net, domain), proof_of(net, sides, patterns))
    assert check(net, path).n_regions == len(patterns)
    if len(patterns) > 1:
        some = data.draw(st.sets(st.sampled_from(patterns), min_size=1, max_size=len(patterns) - 1))
        write(path, statement_of(net, domain), proof_of(net, sides, sorted(some)))
        refused(net, path, "is not proven")


@pytest.mark.parametrize("network", ["generic", "leaky", "negative slopes", "small integers", "dead", "cancelling"])
def test_linear_regions_are_counted(network, path):
    """The number of linear regions is that of the oracle's classes of facet-connected regions with equal maps."""
    case = Case(f"{network}, box, 2", NETWORKS[network](2), DOMAINS["box"](2))
    patterns = sorted(case.patterns)
    kind = {pattern: pattern for pattern in patterns}
    for one, other in combinations(patterns, 2):
        cells = [cell(case.net, each, case.sides) for each in (one, other)]
        if exact_affine_map(case.net, one) == exact_affine_map(case.net, other) and share_a_facet(*cells):
            kind = {each: kind[one] if now == kind[other] else now for each, now in kind.items()}
    n = len(set(kind.values()))
    regions = proof_of(case.net, case.sides, patterns)
    write(path, statement_of(case.net, case.domain, n_linear_regions=n), regions)
    assert check(case.net, path).n_linear_regions == n
    for wrong in (n - 1, n + 1):
        write(path, statement_of(case.net, case.domain, n_linear_regions=wrong), regions)
        refused(case.net, path, f"there must be {wrong} linear regions, as stated, got {n}")


@pytest.mark.parametrize("network", ["generic", "duplicates", "skips", "dense sources", "fan", "small integers"])
def test_three_inputs(network, path):
    """The same in three dimensions."""
    test_all_regions_are_a_certificate(network, "box", 3, path)


@given(networks(2, max_neurons=5), st.integers(1, 10**9))
def test_drawn_maxima(tmp_path_factory, net, part):
    """The oracle's maximum over a box is proven as a bound, a smaller number is not."""
    path, box = tmp_path_factory.mktemp("drawn") / "cert.parquet", Box(-2, 1)
    sides = halfspaces(box, 2)
    output = (F(1),) * (len(net.layers[-1].bias))
    largest = largest_value(net, sides, output)
    patterns = sorted(brute_force_patterns(net, sides))
    for value in (largest, largest - F(1, part)):
        claim = (*[-c for c in output], value)
        statement = statement_of(net, box, claims=(Bound(output, F(0), value),))
        write(path, statement, proof_of(net, sides, patterns, claims=[claim]))
        if value == largest:
            assert check(net, path).claims[0].value == largest
        else:
            refused(net, path, "claim 0 is not proven")


# --- by hand

# relu(x) and relu(x - 1) on [-2, 3]: three regions.
HINGES = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
HINGES_BOX = Box(-2, 3)
LEFT = {"pattern": b"\0", "witness": [-1.0], "facet_rows": [0], "facet_points": [0.0], "proof_targets": [1],
        "proof_sizes": [1], "proof_rows": [0], "proof_values": [1.0]}  # fmt: skip
# Between both hinges the box is proven: x - 0 >= 0 and 1 - x >= 0 are the rows themselves.
MIDDLE = {"pattern": b"\1", "witness": [0.5], "facet_rows": [0, 1], "facet_points": [0.0, 1.0], "box": [0.0, 1.0],
          "proof_targets": [2, 3], "proof_sizes": [1, 1], "proof_rows": [0, 1], "proof_values": [1.0, 1.0]}  # fmt: skip
RIGHT = {"pattern": b"\3", "witness": [2.0], "facet_rows": [1], "facet_points": [1.0], "proof_targets": [0],
         "proof_sizes": [1], "proof_rows": [1], "proof_values": [1.0]}  # fmt: skip


def hinges(path, *regions, **changes):
    """Write a certificate of the two hinges."""
    return write(path, statement_of(HINGES, HINGES_BOX, **changes), regions)


def test_two_hinges(path):
    """Three regions of the line are proven, and what proves them is counted."""
    hinges(path, LEFT, MIDDLE, RIGHT)
    checked = check(HINGES, path, HINGES_BOX)
    assert (checked.n_regions, checked.n_facets, checked.n_implied) == (3, 2, 2)
    assert checked.domain.halfspaces[1].tolist() == [2.0, 3.0]
    assert repr(checked.domain) == "Box([-2.0], [3.0])"


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ([LEFT, MIDDLE], "region 1: a region must be listed across the facet of neuron 1"),
        ([LEFT, RIGHT], "region 0: a region must be listed across the facet of neuron 0"),
        ([LEFT, MIDDLE, MIDDLE, RIGHT], "region 2: its pattern must be listed once"),
        ([], "there must be as many regions as stated, 0, and one at least, got 0"),
        ([LEFT, MIDDLE, RIGHT | {"pattern": b"\2"}], "region 2: the witness is outside: the row of neuron 0"),
        ([LEFT, MIDDLE, RIGHT | {"pattern": b"\7"}], "region 2: the bits of its pattern beyond the last neuron"),
        ([LEFT, MIDDLE, RIGHT | {"witness": [0.5]}], "region 2: the witness is outside: the row of neuron 1"),
        ([LEFT, MIDDLE, RIGHT | {"witness": [1.0]}], "region 2: the witness must be strictly inside, .* neuron 1"),
        ([LEFT, MIDDLE, RIGHT | {"witness": [3.0]}], "region 2: the witness must be strictly inside the domain"),
        ([LEFT, MIDDLE, RIGHT | {"witness": [2.0, 2.0]}], "region 2: a point must have k = 1 coordinates, got 2"),
        ([LEFT, MIDDLE, RIGHT | {"witness": [np.nan]}], "region 2 is malformed"),
        ([LEFT | {"witness": [-np.inf]}, MIDDLE, RIGHT], "region 0 is malformed"),
        # 1 - x = 3 - (x + 2), of which the last is the row of the domain x >= -2: true, and no proof.
        ([LEFT | {"proof_rows": [2], "proof_values": [-1.0]}, MIDDLE, RIGHT],
         "region 0: the row of neuron 1 is not proven: its multipliers must be at least 0"),
        ([LEFT | {"proof_exact": '[[1, [[2, "-1"]]]]'}, MIDDLE, RIGHT], "its multipliers must be at least 0"),
        ([LEFT | {"proof_exact": '[[1.0, [[0, "1"]]]]'}, MIDDLE, RIGHT], "region 0: proof_exact must hold"),
        ([LEFT | {"proof_exact": '[[1, [[false, "1"]]]]'}, MIDDLE, RIGHT], "region 0: proof_exact must hold"),
        ([LEFT | {"proof_exact": '[[1, [[0, "1"]], [], []]]'}, MIDDLE, RIGHT], "region 0: proof_exact must hold"),
        ([LEFT | {"proof_values": [3.0]}, MIDDLE, RIGHT], "region 0: the row of neuron 1 is not proven"),
        ([LEFT | {"proof_values": [np.nan]}, MIDDLE, RIGHT], "region 0 is malformed"),
        ([LEFT | {"proof_values": [np.inf]}, MIDDLE, RIGHT], "region 0 is malformed"),
        ([LEFT | {"proof_rows": [1]}, MIDDLE, RIGHT], "region 0: a proof may use rows of facets .* got neuron 1"),
        ([LEFT | {"proof_rows": [-1]}, MIDDLE, RIGHT], "region 0: a proof may use rows of facets .* got neuron -1"),
        ([LEFT | {"proof_rows": [4]}, MIDDLE, RIGHT], "region 0 is malformed"),
        ([LEFT | {"proof_targets": [4]}, MIDDLE, RIGHT], "region 0: a proof must be of a row, .* got target 4"),
        ([LEFT | {"proof_targets": [-1]}, MIDDLE, RIGHT], "region 0: a proof must be of a row, .* got target -1"),
        ([LEFT | {"proof_sizes": [2]}, MIDDLE, RIGHT], "region 0: proof_sizes must be the lengths"),
        ([LEFT | {"proof_sizes": [2, -1], "proof_targets": [1, 1]}, MIDDLE, RIGHT], "region 0: proof_sizes must be"),
        ([LEFT | {"facet_rows": [0, 1], "facet_points": [0.0, 1.0]}, MIDDLE, RIGHT],
         "region 0: the point of the facet of neuron 1 is outside: the row of neuron 0"),
        ([LEFT | {"facet_points": []}, MIDDLE, RIGHT], "region 0: facet_points must have k numbers"),
        ([LEFT | {"facet_rows": [-2]}, MIDDLE, RIGHT], "region 0: facet_rows must name neurons that have a row"),
        ([LEFT | {"facet_rows": [0, 0], "facet_points": [0.0, 0.0]}, MIDDLE, RIGHT],
         "region 0: the facet of neuron 0 must be recorded from this side once, but region 0"),
        ([LEFT | {"facet_exact": '{"0": "1/3"}'}, MIDDLE, RIGHT], "region 0: the point of the facet .* is outside"),
        ([LEFT | {"facet_exact": '{"0": "-1/3"}'}, MIDDLE, RIGHT], "region 0: the point of the facet .* must be on it"),
        ([LEFT | {"facet_exact": '{"1": "1"}'}, MIDDLE, RIGHT], "facet_exact no others"),
        ([LEFT, MIDDLE | {"box": [0.0, 0.75]}, RIGHT], "region 1: side 1 of the box is not proven"),
        ([LEFT, MIDDLE | {"box": [0.25, 1.0]}, RIGHT], "region 1: side 0 of the box is not proven"),
        ([LEFT, MIDDLE | {"box": [np.inf, 1.0]}, RIGHT], "region 1 is malformed"),
        ([LEFT, MIDDLE | {"box": [np.nan, 1.0]}, RIGHT], "region 1 is malformed"),
        ([LEFT, MIDDLE | {"box": [0.0]}, RIGHT], "region 1: the box must have 2 k = 2 sides or none, got 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(path, regions, reason):
    """Each change of the certificate of two hinges is refused, with what and where."""
    hinges(path, *regions)
    refused(HINGES, path, reason)


def test_counts_must_be_those_stated(path):
    """A file that would say another number of regions than it holds is not written."""
    with pytest.raises(CertificateError, match="must count the regions that are written, 3, but it says 4"):
        hinges(path, LEFT, MIDDLE, RIGHT, n_regions=4)
    assert not list(path.parent.iterdir())


def test_rows_of_the_region_are_rounded_towards_safety(path):
    """A multiplier off by one rounding is enough where the box leaves room, and is not where it leaves none."""
    hinges(path, LEFT | {"proof_values": [np.nextafter(1.0, 0.0)]}, MIDDLE, RIGHT)
    assert check(HINGES, path).n_regions == 3
    hinges(path, LEFT, MIDDLE | {"proof_values": [np.nextafter(1.0, 0.0), 1.0]}, RIGHT)
    refused(HINGES, path, "region 1: side 0 of the box is not proven")


def test_another_network_is_refused(path):
    """One weight, bias or slope that is off by one rounding makes another network; the slopes of the output do not."""
    hinges(path, LEFT, MIDDLE, RIGHT)
    one = np.nextafter(1.0, 2.0)
    for net in (
        Network.mlp([[[1.0], [one]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]]),
        Network.mlp([[[1.0], [1.0]], [[1.0, one]]], [[0.0, -1.0], [0.0]]),
        Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[5e-324, -1.0], [0.0]]),
        Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]], slopes=(5e-324, 1.0)),
    ):
        refused(net, path, "the network must have the fingerprint .* by one rounding of a weight")
    same = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[-0.0, -1.0], [0.0]])
    assert check(same, path).n_regions == 3


def test_another_domain_is_refused(path):
    """Asked about a domain, the certificate has to have its rows, in any order; else it tells its own."""
    hinges(path, LEFT, MIDDLE, RIGHT)
    refused(HINGES, path, "its domain must be the one asked about", Box(-2, np.nextafter(3, 4)))
    refused(HINGES, path, "its domain must be the one asked about, of 0 rows", WholeSpace(1))
    assert check(HINGES, path, Polytope([[1.0], [-1.0]], [3.0, 2.0])).n_regions == 3


def test_no_files(tmp_path):
    """What is not there is said as Python says it; a directory without parts is no certificate."""
    with pytest.raises(FileNotFoundError):
        check(HINGES, tmp_path / "cert.parquet")
    with pytest.raises(CertificateError, match=r"must hold the parts of a certificate, got no \.parquet file"):
        check(HINGES, tmp_path)


def test_parts(tmp_path):
    """Parts prove together; one that is missing, or two that were exchanged, are told."""

    def part(i, *regions, **changes):
        hinges(tmp_path / f"part-{i}.parquet", *regions, **{"part": i, "n_parts": 2, "n_regions": 3} | changes)

    part(0, LEFT, MIDDLE)
    part(1, RIGHT)
    assert check(HINGES, tmp_path).n_regions == 3
    refused(HINGES, tmp_path / "part-0.parquet", "file 0 must be part 0 of 1 of the same certificate, got part 0 of 2")
    part(1, RIGHT, part=0)
    refused(HINGES, tmp_path, "file 1 must be part 1 of 2 of the same certificate, got part 0 of 2")
    part(1, RIGHT, n_regions=4)
    refused(HINGES, tmp_path, "file 1 must be part 1 of 2 of the same certificate, .* of another")
    part(0, LEFT, MIDDLE, n_regions=4)
    refused(HINGES, tmp_path, "there must be as many regions as stated, 4, and one at least, got 3")


def test_crossing_lines(path):
    """Two lines through the middle of a square: at the crossing there is no facet, and four points prove all."""
    net = Network.mlp([np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    corners = {bytes([i]): [2.0 * (i & 1) - 1, float(i & 2) - 1] for i in range(4)}

    def region(pattern, **changes):
        x, y = corners[pattern]
        return {"pattern": pattern, "witness": [x, y], "facet_rows": [0, 1], "facet_points": [0.0, y, x, 0.0]} | changes

    statement = statement_of(net, Box(-2, 2))
    write(path, statement, list(map(region, corners)))
    assert check(net, path).n_facets == 4
    write(path, statement, [region(p, facet_points=[0.0, 0.0, corners[p][0], 0.0]) for p in corners])
    refused(net, path, "the point of the facet of neuron 0 must be on no other hyperplane, but that of neuron 1")
    write(path, statement, [region(p, facet_points=[0.0, 2 * corners[p][1], corners[p][0], 0.0]) for p in corners])
    refused(net, path, "the point of the facet of neuron 0 must be strictly inside the domain")


def test_duplicates_do_not_vouch_for_each_other(path):
    """One side of three coincident neurons is missing: each row would follow from the others, but none is crossed."""
    regions = proof_of(COINCIDENT, [], sorted(brute_force_patterns(COINCIDENT, [])))
    write(path, statement_of(COINCIDENT, None), regions)
    assert check(COINCIDENT, path).n_regions == 4
    half = [
        region | {"facet_rows": region["facet_rows"][1:],
                  "facet_exact": None, "witness_exact": None, "witness": [1.0, y],
                  "proof_exact": '[[0, [[1, "1/3"]]], [1, [[0, "3"]]], [2, [[0, "1"]]]]', "facet_points": [1.0, 0.0]}
        for region in regions for y in [1.0 if region["pattern"][0] & 8 else -1.0]
        if region["pattern"][0] & 1
    ]  # fmt: skip
    write(path, statement_of(COINCIDENT, None), half)
    refused(COINCIDENT, path, "region 0: a proof may use rows of facets of the region and of the domain, got neuron 1")


@pytest.mark.parametrize(
    ("weight", "bias", "slopes", "bit", "reason"),
    [
        (0.0, 0.0, (0.0, 1.0), False, None),
        (0.0, 0.0, (0.0, 1.0), True, "neuron 1 has the bit True, but it is zero or negative everywhere"),
        (0.0, 1.0, (0.0, 1.0), True, None),
        (0.0, 1.0, (0.0, 1.0), False, "neuron 1 has the bit False, but it is positive everywhere"),
        (0.0, -1.0, (0.0, 1.0), False, None),
        (0.0, -1.0, (0.0, 1.0), True, "neuron 1 has the bit True, but it is zero or negative everywhere"),
        (1.0, 0.0, (0.5, 0.5), False, None),
        (1.0, 0.0, (0.5, 0.5), True, "neuron 1 has the bit True, but it is affine everywhere"),
    ],
)
def test_neurons_without_a_row(path, weight, bias, slopes, bit, reason):
    """A constant neuron has the bit of its sign, an affine one and one that is identically zero have False."""
    net = Network([
        Layer({0: [[1.0], [weight]]}, [0.0, bias], [(-1.0, 1.0), slopes]),
        Layer({1: [[1.0, 1.0]]}, [0.0]),
    ])  # fmt: skip
    regions = [
        {"pattern": bytes([side | 2 * bit]), "witness": [2.0 * side - 1], "facet_rows": [0], "facet_points": [7.0]}
        for side in (0, 1)
    ]
    write(path, statement_of(net, None), regions)
    if reason is None:
        assert check(net, path).n_regions == 2
    else:
        refused(net, path, f"region 0: {reason}")


def test_a_neuron_that_vanishes_on_the_facet(path):
    """relu(x) below a second relu: left of 0 the second is identically zero, right of 0 it is x: both bits change."""
    net = Network.mlp([[[1.0]], [[2.0]], [[1.0]]], [[0.0]] * 3)
    left = {"pattern": b"\0", "witness": [-1.0], "facet_rows": [0], "facet_points": [0.0]}
    right = {"pattern": b"\3", "witness": [1.0], "facet_rows": [1], "facet_points": [0.0]}
    write(path, statement_of(net, None, n_linear_regions=2), [left, right])
    checked = check(net, path)
    assert (checked.n_regions, checked.n_facets, checked.n_implied) == (2, 1, 0)


# --- flat domains


SEGMENT = Polytope([[1, 1], [-1, -1], [-1, 0], [0, -1]], [1, -1, 0, 0])  # x + y = 1, x, y >= 0
SEGMENT_HULL = Hull((F(0), F(1)), ((F(1), F(-1)),), (0, 1), (F(1), F(1)))


def flat(net, domain, hull):
    """Return the exact certificate of a network on a flat domain."""
    inputs = [(*[row[i] for row in hull.basis], hull.origin[i]) for i in range(net.n_inputs)]
    sides = []
    for a, b in halfspaces(domain, net.n_inputs):
        form = [sum(F(c) * x[t] for c, x in zip(a, inputs, strict=True)) for t in range(len(hull.basis) + 1)]
        sides.append((form[:-1], F(b) - form[-1]))
    patterns = sorted(brute_force_patterns(net, sides, inputs))
    return len(patterns), proof_of(net, sides, patterns, inputs)


@pytest.mark.parametrize("network", ["generic", "skips", "duplicates", "small integers", "own slopes", "dead"])
def test_a_segment(path, network):
    """On a segment of the plane, in a coordinate of its own, a certificate is accepted."""
    net = NETWORKS[network](2)
    third = Hull((F(1, 3), F(2, 3)), ((F(-1, 7), F(1, 7)),), (1, 0), (F(2, 3), F(2, 3)))
    for hull in (SEGMENT_HULL, third):
        n, regions = flat(net, SEGMENT, hull)
        write(path, statement_of(net, SEGMENT, hull=hull), regions)
        assert check(net, path, SEGMENT).n_regions == n


def test_a_fixed_input(path):
    """On a square of three dimensions, one of them fixed, a certificate is accepted."""
    net, box = NETWORKS["generic"](3), Box([-1, 0.5, -1], [1, 0.5, 1])
    one, half = F(1), F(1, 2)
    hull = Hull((F(0), half, F(0)), ((one, F(0), F(0)), (F(0), F(0), one)), (2, 3), (one, one))
    n, regions = flat(net, box, hull)
    write(path, statement_of(net, box, hull=hull), regions)
    assert check(net, path, box).n_regions == n


@pytest.mark.parametrize("d", [1, 2])
def test_a_point(path, d):
    """A domain of one point is one region, with no coordinates; the bits are those of the signs there."""
    net, box = NETWORKS["generic"](d), Box([0.25] * d, [0.25] * d)
    hull = Hull((F(1, 4),) * d, (), tuple(range(2 * d)), (F(1),) * (2 * d))
    z = [net.layers[0].weights[0] @ np.full(d, 0.25) + net.layers[0].bias]
    z.append(net.layers[1].weights[1] @ np.maximum(z[0], 0) + net.layers[1].bias)
    pattern = sum(1 << j for j, bit in enumerate(np.concatenate(z) > 0) if bit)
    write(path, statement_of(net, box, hull=hull, n_linear_regions=1), [{"pattern": bytes([pattern])}])
    assert check(net, path, box).n_regions == 1
    write(path, statement_of(net, box, hull=hull), [{"pattern": bytes([pattern ^ 1])}])
    refused(net, path, "region 0: neuron 0 has the bit")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"origin": (F(0), F(2))}, "the equalities of the hull must vanish on it"),
        ({"origin": (F(0),)}, "origin and basis of the hull must have d = 2 coordinates"),
        ({"basis": ((F(1), F(1)),)}, "the equalities of the hull must vanish on it"),
        ({"basis": ((F(0), F(0)),)}, "a basis of the hull must .* be independent"),
        ({"basis": ()}, "a basis of the hull must have d - k independent equalities"),
        ({"multipliers": (F(1), F(2))}, "times their multipliers must add up to zero"),
        ({"multipliers": (F(0), F(0))}, "the multipliers of the hull must be positive"),
        ({"multipliers": (F(1),)}, "must have a multiplier for each"),
        ({"equalities": (0, 2)}, "times their multipliers must add up to zero"),
        ({"equalities": (0, 9)}, "is malformed"),
        ({"equalities": (), "multipliers": ()}, "a basis of the hull must have d - k independent equalities"),
    ],
)
def test_hulls_are_proven(path, changes, reason):
    """Each change of the hull of a segment is refused."""
    net = NETWORKS["generic"](2)
    _, regions = flat(net, SEGMENT, SEGMENT_HULL)
    write(path, statement_of(net, SEGMENT, hull=SEGMENT_HULL._replace(**changes)), regions)
    refused(net, path, reason)


def test_an_empty_domain_has_no_regions(path):
    """On the hull of x + y = 1, the row x + y <= 0 is -1 everywhere: nothing is proven of a domain without points."""
    domain = Polytope([*SEGMENT.A, [1, 1]], [*SEGMENT.b, 0])
    net = Network.mlp([[[0.0, 0.0]]], [[0.0]])
    write(path, statement_of(net, SEGMENT, hull=SEGMENT_HULL), [{"pattern": b"\0", "witness": [0.5]}])
    assert check(net, path).n_regions == 1
    write(path, statement_of(net, domain, hull=SEGMENT_HULL), [{"pattern": b"\0", "witness": [0.5]}])
    refused(net, path, "row 4 of the domain is negative everywhere: the domain is empty")


def test_a_flat_domain_needs_its_hull(path):
    """Without a hull no point is strictly inside a flat domain."""
    net = Network.mlp([[[1.0]]], [[0.0]])
    write(path, statement_of(net, Box(1, 1)), [{"pattern": b"\0", "witness": [1.0]}])
    refused(net, path, "region 0: the witness must be strictly inside the domain")


# --- claims: y = relu(x) + relu(x - 1) on [-2, 3] is at most 5, at 3, and at least 0


def claims(path, *made, **columns):
    """Write the certificate of the hinges with claims, and columns that differ by region."""
    regions = [
        region | {name: values[i] for name, values in columns.items()} for i, region in enumerate((LEFT, MIDDLE, RIGHT))
    ]
    return hinges(path, *regions, claims=made)


def test_a_bound(path):
    """An upper bound that is attained is a maximum; on each region the output is bounded by its box."""
    bound = Bound((F(1),), F(0), F(5), (F(3),))
    claims(path, bound)
    assert check(HINGES, path).claims == (bound,)
    claims(path, Bound((F(2),), F(-1), F(9), (F(3),)))
    assert check(HINGES, path).n_regions == 3
    # On the right y = 2 (x - 1) + 1.
    right = RIGHT | {"proof_targets": [0, 4], "proof_sizes": [1, 1], "proof_rows": [1, 1], "proof_values": [1.0, 2.0]}
    hinges(path, LEFT, MIDDLE, right, claims=(Bound((F(-1),), F(0), F(0), (F(-2),)),))
    assert check(HINGES, path).n_regions == 3


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        (Bound((F(1),), F(0), 5 - F(1, 10**40)), "region 2: claim 0 is not proven"),
        (Bound((F(1),), F(1, 10**40), F(5)), "region 2: claim 0 is not proven"),
        (Bound((F(1),), F(0), 5 + F(1, 10**40), (F(3),)), "a bound must be attained where it is said to be"),
        (Bound((F(1),), F(0), F(5), (F(2),)), "a bound must be attained where it is said to be"),
        (Bound((F(1),), F(0), F(7), (F(4),)), "must be in the domain"),
        (Bound((F(1),), F(0), F(5), (F(3), F(0))), "must have 1 coordinates"),
        (Bound((F(1), F(0)), F(0), F(5)), "a claim must have 1 coefficients and a constant"),
    ],
)
def test_bounds_that_do_not_hold(path, bound, reason):
    """A bound that is exceeded, by whatever little, or not attained where it is said to be, is refused."""
    claims(path, bound)
    refused(HINGES, path, reason)


def test_a_bound_by_multipliers(path):
    """A bound that the box alone does not give has multipliers: claim 0 is target n + 2 k."""
    bound = Bound((F(1),), F(0), F(5))
    wide = RIGHT | {"box": [-np.inf, np.inf]}
    hinges(path, LEFT, MIDDLE, wide, claims=(bound,))
    refused(HINGES, path, "region 2: claim 0 is not proven")
    # 5 - (2 x - 1) = 2 (3 - x); row 3 = n_neurons + 1 is that of the domain.
    proven = {"proof_targets": [0, 4], "proof_sizes": [1, 1], "proof_rows": [1, 3], "proof_values": [1.0, 2.0]}
    hinges(path, LEFT, MIDDLE, wide | proven, claims=(bound,))
    assert check(HINGES, path).n_regions == 3
    hinges(path, LEFT, MIDDLE, wide | {"proof_exact": '[[4, [[3, "2/1"]]]]'}, claims=(bound,))
    assert check(HINGES, path).n_regions == 3
    hinges(path, LEFT, MIDDLE, wide | {"proof_exact": '[[4, [], ["0"]]]'}, claims=(bound,))
    refused(HINGES, path, "weights must be those of a claim of the kind 'empty'")


def test_no_point_with_some_outputs(path):
    """That y >= 6 nowhere, and y - 1 >= 0 together with -y >= 0 nowhere, is proven by weights; that y >= 5, is not."""
    high = Empty(((F(1), F(-6)),))
    both = Empty(((F(1), F(-1)), (F(-1), F(0))))
    weights = [[1.0, 1.0, 1.0]] * 3
    claims(path, high, both, claim_weights=weights)
    assert check(HINGES, path).claims == (high, both)
    exact = ['[[5, [], ["1/3", "1/3"]]]', None, None]
    claims(path, high, both, claim_weights=[[1.0, 0.0, 0.0], *weights[1:]], proof_exact=exact)
    assert check(HINGES, path).n_regions == 3
    claims(path, high, both, claim_weights=[[1.0, 0.0, 0.0], *weights[1:]])
    refused(HINGES, path, "region 0: claim 1 is not proven: .* must be positive")
    claims(path, high, both, claim_weights=[[1.0, 1.0]] * 3)
    refused(HINGES, path, "region 0: claim_weights must have 3 numbers, got 2")
    claims(path, high, both, claim_weights=[[1.0, -1.0, 1.0]] * 3)
    refused(HINGES, path, "region 0: weights of a claim must be at least 0")
    claims(path, high, both, claim_weights=[[1.0, np.nan, 1.0]] * 3)
    refused(HINGES, path, "region 0")
    claims(path, Empty(((F(1), F(-5)),)), claim_weights=[[1.0]] * 3)
    refused(HINGES, path, "region 2: claim 0 is not proven: .* must be positive")
    claims(path, Empty(()))
    refused(HINGES, path, "malformed")
