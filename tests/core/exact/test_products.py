"""Products of integer matrices by parts against Python's sums of products."""

import numpy as np
import pytest

from tropnet.exact import products

SIZES = [1, 19, 20, 21, 52, 53, 59, 60, 61, 64, 120, 121, 600, 3000]


def integers(rng, shape, n_bits):
    """Return random integers of about so many bits, the largest of them and zeros among them."""
    largest = (1 << n_bits) - 1
    flat = [int.from_bytes(rng.bytes(n_bits // 8 + 1), "little") % (largest + 1) for _ in range(shape[0] * shape[1])]
    flat[:3] = [largest, -largest, 0]
    signs = rng.choice([-1, 1], size=len(flat)).tolist()
    return np.array([sign * value for sign, value in zip(signs, flat, strict=True)], dtype=object).reshape(shape)


@pytest.mark.parametrize("n_bits", SIZES)
@pytest.mark.parametrize("others", [1, 53, 61])
def test_products_are_exact(n_bits, others):
    """Numbers whose size is at, below and above that of a part, a word and a float64, in both factors."""
    rng = np.random.default_rng([n_bits, others])
    left, right = integers(rng, (33, 60), n_bits), integers(rng, (60, 35), others)
    expected = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in right.T] for row in left]
    assert products.product(left, right).tolist() == expected
    assert products.product(right.T, left.T).T.tolist() == expected


@pytest.mark.parametrize("n", [0, 1, (1 << 13) - 1, 1 << 13, (1 << 13) + 1])
def test_long_sums_are_exact(n):
    """The largest parts, as many as float64 adds up without rounding, and one more."""
    largest = (1 << 40) - 1
    left, right = np.full((4, n), largest, dtype=object), np.full((n, 4), -largest, dtype=object)
    assert products.product(left, right).tolist() == [[-n * largest**2] * 4] * 4


def test_entries_stay_integers_of_python():
    """Those of int64 would overflow in what follows."""
    result = products.product(np.ones((64, 64), dtype=object), np.ones((64, 64), dtype=object))
    assert {type(value) for value in result.ravel().tolist()} == {int}
    assert result.dtype == object
