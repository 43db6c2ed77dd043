"""What is said while kernels are compiled, and records of arrays as kernels see them."""

import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner

import tropnet as tn
from tropnet.cli import command
from tropnet.kernels import Lender, Parts, Record, call_part, compiled

NEAREST = """
import numpy as np
from tropnet.arrays.hamming import nearest_patterns
found = nearest_patterns(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
nearest_patterns(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
print(found[0][0])
"""
BALLS = """
import tropnet as tn
regions = tn.enumerate_regions(tn.Network.random([2, 1, 1], seed=0), tn.Box(0, 1), engine="lp")
print(len(regions.chebyshev_balls()[1]))
"""


def _said(call, cache, quiet=""):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "TROPNET_QUIET": quiet}
    done = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    return done.stderr


def _line(module):
    return f"tropnet: compiling kernels of {module}, new on this machine (up to 10 s) ...\n"


def test_that_kernels_are_compiled_is_said_of_those_that_are_new_on_a_machine(tmp_path):
    assert _said(NEAREST, tmp_path / "cache") == _line("tropnet.arrays.hamming")
    assert _said(NEAREST, tmp_path / "cache") == ""
    of_balls = ("tropnet.geometry.centred", "tropnet.geometry.balls", "tropnet.network.twofold")
    assert _said(BALLS, tmp_path / "cache") == "".join(map(_line, of_balls))
    assert _said(BALLS, tmp_path / "cache") == ""
    assert _said(NEAREST, tmp_path / "other", "1") == ""


@pytest.mark.parametrize("arguments", [["count"], ["regions"], ["estimate"], ["plot", "-o", "map.png"]])
def test_the_quiet_option_is_about_compiling_too(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TROPNET_QUIET", "")
    net, seen = tn.Network.random([2, 3, 1], seed=0), []

    def load(*_, **__):
        seen.append(os.environ["TROPNET_QUIET"])
        return net

    net.save(tmp_path / "net.npz")
    monkeypatch.setattr(tn, "load", load)
    done = CliRunner().invoke(command, [*arguments, "net.npz", "-q"], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, "")
    assert seen == ["1"]
    assert not os.environ.get("TROPNET_QUIET")  # only while the command runs


class Inner(NamedTuple):
    flags: np.ndarray


class Outer(NamedTuple):
    values: np.ndarray
    scale: float
    inner: Record
    words: np.ndarray


@compiled(entry=True)
def _total(record, k):
    """Write the last entry of each axis, and return a sum."""
    total = 0.0
    for i in range(record.values.shape[0]):
        for j in range(record.values.shape[1]):
            total += record.scale * record.values[i, j]
    record.values[-1, -1] = 100.0
    record.words[k, 1, 2] += np.uint64(1)
    return total + record.inner.flags.sum()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_a_kernel_reads_and_writes_the_arrays_of_a_record(dtype):
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    state = Outer(values, 0.5, Record(Inner(np.array([True, False, True]))), np.zeros((2, 2, 3), np.uint64))
    assert _total(Record(state), 1) == 7.5 + 2.0
    assert values.tolist() == [[0, 1, 2], [3, 4, 100]]
    assert state.words.sum() == state.words[1, 1, 2] == 1


def test_a_lender_makes_a_record_only_where_the_tuple_is_another():
    lender, first, second = Lender(), Inner(np.ones(2, np.bool_)), Inner(np.ones(3, np.bool_))
    own = Record(first)
    a, b = lender.lend(first, own)
    assert a is not own
    assert b is own
    assert lender.lend(first, own)[0] is a
    assert lender.lend(second, own)[0].state is second


def test_arrays_that_are_not_in_order_have_no_record():
    with pytest.raises(ValueError, match="in C order"):
        Record(Inner(np.ones(6, np.bool_)[::2]))


@compiled(apart=True)
def _add(record, k, double):
    """Add to an entry, and return its number."""
    record.flags[k] += 2 if double else 1
    return k


@compiled(entry=True)
def _add_to_all(record, parts, double):
    """Add to each entry by a part; return the sum of their numbers, -1 as long as the part is not there."""
    if not parts.of[0]:
        return -1
    total = 0
    for k in range(record.flags.shape[0]):
        total += call_part(parts.of[0], record, k, double)
    return total


def test_a_part_is_called_by_its_address_once_it_is_loaded():
    record, other = (Record(Inner(np.zeros(4, dtype))) for dtype in (np.int64, np.float64))
    parts = Parts(_add)
    lent = parts.lend(record)
    assert _add_to_all(record, lent, True) == -1
    parts.load(lent, 0, (record,), 2)
    assert _add_to_all(record, parts.lend(record), True) == _add_to_all(record, lent, False) == 6
    assert record.state.flags.tolist() == [3] * 4
    # Records of other types have a part of their own.
    assert parts.lend(other) is not lent
    assert _add_to_all(other, parts.lend(other), True) == -1
    with pytest.raises(NotImplementedError, match="only kernels"):
        call_part(0)
