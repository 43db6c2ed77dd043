"""Malformed certificates are refused in one line; none is accepted that states something else than was proven."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.proofs.writing import statement_of, write
from tests.oracles.certificates import proof_of
from tests.strategies import halfspaces
from tropnet import Box, CertificateError, Network, check
from tropnet.proofs.files import METADATA
from tropnet.proofs.statement import Bound, Empty

NET = Network.mlp([[[1.0, 0.5], [-1.0, 1.0]], [[1.0, 1.0]], [[1.0]]], [[0.0, 0.25], [-1.0], [0.0]])
BOX = Box(-2, 2)
PATTERNS = [(False, False, False), (False, True, False), (False, True, True), (True, False, False), (True, False, True),
            (True, True, False), (True, True, True)]  # fmt: skip
# 0 <= y, proven by the sign of its own row or as it is constant, and y < 10, with a weight of each region.
CLAIMS = (Bound((Fraction(-1),), Fraction(0), Fraction(0)), Empty(((Fraction(1), Fraction(-10)),)))
LISTS = ["facet_rows", "facet_points", "witness", "box", "proof_targets", "proof_sizes", "proof_rows", "proof_values",
         "claim_weights"]  # fmt: skip
TEXTS = ["witness_exact", "facet_exact", "proof_exact"]


def regions_of():
    """Return the regions, with a proof of the first claim."""
    found = proof_of(NET, halfspaces(BOX, 2), PATTERNS)
    for pattern, region in zip(PATTERNS, found, strict=True):
        proofs = json.loads(region["proof_exact"])
        if pattern[2]:
            rows = [j for j, _ in proofs if j == 2]
            terms = dict(proofs)[2] if rows else [[2, "1"]]
            proofs.append([7, terms])
        region["proof_exact"] = json.dumps(proofs)
        # Floats where there is room for them; the exact columns count.
        region["witness"] = [float(Fraction(c)) for c in region["witness_exact"].split()]
        region["claim_weights"] = [1.0]
        region["box"] = [-2.0, -2.0, 2.0, 2.0]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write a certificate of two hidden layers with two claims; others go beside it."""
    path = tmp_path_factory.mktemp("malformed") / "whole.parquet"
    write(path, statement_of(NET, BOX, claims=CLAIMS, n_linear_regions=4), regions_of())
    return path


def stated(checked):
    """Return what was proven, without what it took."""
    return checked.n_regions, checked.n_linear_regions, checked.claims, repr(checked.domain)


def outcome(path):
    """Return what is stated, if it is proven, and None where it is refused, in one line that names the file."""
    try:
        return stated(check(NET, path, BOX))
    except CertificateError as error:
        reason = str(error)
    assert len(reason.splitlines()) == 1
    assert path.name in reason
    return None


def rewritten(whole, name, change, column=None):
    """Write the certificate with another column, by a function of its list, or other metadata, by one of the values."""
    table, path = pq.read_table(whole), whole.with_name(name)
    metadata = dict(table.schema.metadata)
    if column is None:
        metadata = change(metadata)
    else:
        place = table.schema.get_field_index(column)
        table = change(table, place)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_the_whole_one_is_accepted(whole):
    """What is changed below is accepted unchanged, also as another program writes it again."""
    expected = stated(check(NET, whole, BOX))
    assert expected[:2] == (7, 4)
    assert outcome(rewritten(whole, "again.parquet", dict)) == expected


def test_no_other_bytes_are_accepted(whole):
    """With one bit of any byte changed, or its end cut off, a file is refused or states the same."""
    data, expected = whole.read_bytes(), outcome(whole)
    path = whole.with_name("bytes.parquet")
    refused = 0
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        found = outcome(path)
        refused += found is None
        assert found in (None, expected)
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        assert outcome(path) is None
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"PAR1", b"7 regions, honestly", b"PAR1" * 50, bytes(1000)])
def test_no_parquet_file(tmp_path, content):
    """Other files are refused."""
    path = tmp_path / "other.parquet"
    path.write_bytes(content)
    assert outcome(path) is None


def test_other_tables(whole):
    """A table without the metadata, without one of the columns, or of other types, is refused."""
    assert outcome(rewritten(whole, "other.parquet", lambda _: {})) is None
    for name in pq.read_schema(whole).names:
        assert outcome(rewritten(whole, "other.parquet", lambda table, i: table.remove_column(i), name)) is None
    kinds = {"pattern": pa.binary(2), "witness": pa.list_(pa.float32()), "facet_rows": pa.list_(pa.int64()),
             "facet_points": pa.list_(pa.string()), "witness_exact": pa.float64(), "proof_sizes": pa.float64(),
             "proof_values": pa.list_(pa.list_(pa.float64())), "claim_weights": pa.list_(pa.bool_())}  # fmt: skip
    for name, kind in kinds.items():

        def other(table, i, name=name, kind=kind):
            return table.set_column(i, name, pa.nulls(len(table), kind))

        assert outcome(rewritten(whole, "other.parquet", other, name)) is None


def changed_cell(whole, name, row, value):
    """Write the certificate with one other cell."""

    def change(table, i):
        values = table.column(i).to_pylist()
        values[row] = value
        return table.set_column(i, table.schema.field(i), pa.array(values, table.schema.field(i).type))

    return rewritten(whole, "cell.parquet", change, name)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e308, -1e308, 5e-324, np.inf, -np.inf, np.nan]
INTEGERS = [0, 1, 2, 3, 6, 7, 8, 9, 12, -1, -2, 2**31 - 1, -(2**31)]
WORDS = [
    *["", " ", "0", "1 1", "-1/2 1/3", "1/0", "nan", "NaN", "1e9", "0x", "1/2/3", "\u00bd \u00bd", "\0", "9" * 5000],
    *["[]", "{}", "null", "[" * 100_000, '{"0": "0 0"}', '{"0": null}', '{"2": "1/2 1"}'],
    *["[[7, []]]", "[[8, [], []]]", '[[0, [[0, "1"]]]]', "[[true, []]]", "[[7.0, []]]", "[[7, [[2, -1]]]]"],
    *['[[7, [[2, "1"]], ["1"]]]', '[[8, [], ["1", "1"]]]'],
]


def mutated(draw, values, items):
    """Return a list that is shorter, longer, in another order or with another item, or missing."""
    kind = draw(st.sampled_from(["none", "cut", "more", "item", "swap", "empty", "null item"]))
    values = list(values)
    if kind == "none":
        return None
    if kind == "empty":
        return []
    if kind == "more" or not values:
        return [*values, draw(st.sampled_from(items))]
    i = draw(st.integers(0, len(values) - 1))
    if kind == "cut":
        return values[:i]
    if kind == "swap":
        return [*values[i:], *values[:i]]
    return [*values[:i], None if kind == "null item" else draw(st.sampled_from(items)), *values[i + 1 :]]


@given(st.data())
def test_no_other_cell_is_accepted_with_another_meaning(whole, data):
    """With other lists, numbers or texts in a cell, a file is refused or states the same."""
    expected = outcome(whole)
    name, row = data.draw(st.sampled_from(LISTS + TEXTS)), data.draw(st.integers(0, 6))
    if name in TEXTS:
        value = data.draw(st.sampled_from([None, *WORDS]) | st.text(max_size=5))
    else:
        items = INTEGERS if name in ("facet_rows", "proof_targets", "proof_sizes", "proof_rows") else SPECIAL
        value = mutated(data.draw, pq.read_table(whole)[name][row].as_py(), items)
    assert outcome(changed_cell(whole, name, row, value)) in (None, expected)


@pytest.mark.parametrize("row", range(7))
def test_another_pattern_is_refused(whole, row):
    """With any other bits as a pattern, or one beyond them, a file is refused."""
    own = pq.read_table(whole)["pattern"][row].as_py()
    for byte in (*range(9), 16, 128):
        if bytes([byte]) != own:
            assert outcome(changed_cell(whole, "pattern", row, bytes([byte]))) is None
    assert outcome(changed_cell(whole, "pattern", row, None)) is None


VALUES = [None, True, 0, -1, 1, 7.0, 10**30, "", "0x1p+0", "nan", "1/0", [], {}, [[]], [None], "9" * 5000]


@pytest.mark.parametrize("key", json.loads(statement_of(NET, BOX).to_json()))
def test_other_headers(whole, key):
    """With a value of the header missing or another, a file is refused or states what it says there and is proven."""
    header = json.loads(pq.read_schema(whole).metadata[METADATA])
    expected = outcome(whole)

    def with_header(text):
        return outcome(rewritten(whole, "header.parquet", lambda metadata: {**metadata, METADATA: text}))

    assert with_header(json.dumps({name: value for name, value in header.items() if name != key})) is None
    for value in VALUES:
        if type(value) is type(header[key]) and value == header[key]:
            continue
        found = with_header(json.dumps(header | {key: value}))
        # Fewer statements are proven, too.
        assert found is None or (key == "n_linear_regions" and found == (7, None, *expected[2:]))
    if key == "domain":
        for name in ("A", "b"):
            for value in VALUES:
                assert with_header(json.dumps(header | {key: header[key] | {name: value}})) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", "[" * 100_000, '{"format": NaN}', "\xff"])
def test_headers_that_are_none(whole, text):
    """A header that is no JSON, or that of something else, is refused."""
    path = rewritten(whole, "header.parquet", lambda metadata: {**metadata, METADATA: text.encode("latin-1")})
    assert outcome(path) is None


@given(st.data())
def test_other_claims(whole, data):
    """With other numbers in claims, a file is refused, unless what it then says follows as well."""
    header = json.loads(pq.read_schema(whole).metadata[METADATA])
    kind = data.draw(st.sampled_from(["output", "constant", "value", "attained", "rows", "kind"]))
    value = data.draw(
        st.sampled_from([*VALUES, ["1"], ["-1"], ["1", "1"], "1", "-1/3", [["1", "-10"]], [["1", "0"]], "empty"])
    )
    claim = 1 if kind == "rows" else 0
    if header["claims"][claim][kind] == value:
        return
    header["claims"][claim][kind] = value
    path = rewritten(whole, "claims.parquet", lambda metadata: {**metadata, METADATA: json.dumps(header)})
    found = outcome(path)
    if found is not None:
        # y >= 0: so y + 1 >= 0, y >= -1 and the like are true.
        bound, empty = found[2]
        assert (bound.output, empty.rows) == (CLAIMS[0].output, CLAIMS[1].rows)
        assert bound.constant <= bound.value
        assert bound.attained is None
