"""Exact signs in compiled code: rows of a path modulo primes, and determinants of them.

Over the integers (weights scaled by powers of two, as in `Network.integers`) a row vanishes at a generator iff a
determinant of D rows does, and a multiplier is zero iff another one does. Hadamard bounds a determinant by the product
of the norms of its rows; so one that is 0 modulo primes whose product is larger is 0, and its sign is that of the
number of least magnitude with these residues (Garner 1959, doi:10.1109/TEC.1959.5219515). Nothing is left to chance:
an unlucky prime, or a determinant too large for the primes at hand, leaves the answer unknown.

Nothing is composed before it is asked for. A row is composed from the float64 weights, whose residues are those of a
mantissa times those of a power of two, and kept while the decisions before its layer stay the same.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.kernels import Record, compiled
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.regions.row_index import INFINITY

__all__ = ["NO_RESIDUES", "UNKNOWN", "Residues", "are_multipliers", "is_zero_row", "make_residues", "sign_at"]

UNKNOWN = 2
# Bits that each prime is good for, rounded down.
_BITS = 30.9999
# Primes come in steps, so that few tables of them are made; so many are within 2**14 of 2**31.
_STEP, _MOST = 32, 512
# A sign from more primes than these takes longer than Python's integers, which round the point to float64 as well.
_MOST_DIGITS = 160
# What a sum of many products is allowed for beside the scale of a row, in bits.
_SUMS = 64
# Weights are integers once multiplied by at most 2**_MOST_SCALE; else nothing is known of their layer.
_MOST_SCALE = 1 << 13
# The exponents of the powers of two in `powers` begin here: mantissas are integers below 2**53.
_LOWEST = 64
# Room of the composed rows, in numbers.
_ROOM = 1 << 24
# What float64 loses in the sums of sizes.
_ROUND_UP = 1.0 + 1e-9
_MASK = (1 << 31) - 1
# Places of `Residues.scales`.
_ROW, _SLOPE = 0, 1


class Residues(NamedTuple):
    """Rows modulo K primes; K = 0 as long as nothing was asked."""

    primes: NDArray[np.uint64]  # (K,)
    inverses: NDArray[np.uint64]  # (K,) of the product of the primes before, modulo each
    powers: NDArray[np.uint32]  # (K, T) 2**(t - _LOWEST)
    rows: NDArray[np.uint32]  # (n_neurons, K, D)
    n_known: NDArray[np.int64]  # (n_neurons,) for how many of the primes a row is composed
    sizes: NDArray[np.float64]  # (n_neurons,) a bound on the 1-norm of the row, unscaled
    paths: NDArray[np.uint64]  # (L, words) the bits before a layer for which its rows are known
    scales: NDArray[np.int64]  # (2, L) a row times 2**scale is integer (-1: too large), and so are the slopes
    reads: NDArray[np.bool_]  # (L, L) whether a layer reads another, directly or not
    sides: NDArray[np.float64]  # (m, D) rows of the domain
    side_scale: NDArray[np.int64]  # (1,)
    work: NDArray[np.uint64]  # (D + 1, D) scratch: the matrix
    chosen: NDArray[np.int64]  # (3, D) scratch: places of rows, leading columns, rows asked for
    digits: NDArray[np.uint64]  # (2, K) scratch


def _allocate(n_neurons: int, n_layers: int, D: int, n_primes: int) -> Residues:
    """Allocate the arrays, without those that depend on the weights; memory is taken as rows are composed."""
    return Residues(
        primes=np.zeros(n_primes, np.uint64),
        inverses=np.zeros(n_primes, np.uint64),
        powers=np.zeros((n_primes, 0), np.uint32),
        rows=np.zeros((n_neurons, n_primes, D), np.uint32),
        n_known=np.zeros(n_neurons, np.int64),
        sizes=np.zeros(n_neurons),
        paths=np.zeros((n_layers, -(-n_neurons // 64)), np.uint64),
        scales=np.full((2, n_layers), -1),
        reads=np.zeros((n_layers, n_layers), np.bool_),
        sides=np.zeros((0, D)),
        side_scale=np.zeros(1, np.int64),
        work=np.zeros((D + 1, D), np.uint64),
        chosen=np.zeros((3, D), np.int64),
        digits=np.zeros((2, n_primes), np.uint64),
    )


# Modulo no primes nothing is known.
NO_RESIDUES = Record(_allocate(0, 0, 0, 0))


def make_residues(net: Network, domain: Domain) -> Record:
    """Return what is needed to compose the rows of a network on a domain modulo primes."""
    n_layers, D = len(net.hidden), net.n_inputs + 1
    A, b = domain.halfspaces
    sides = np.column_stack([-A, b])
    scales, side_scale = net.derived(_scales), _scale(sides)
    highest = max(int(scales.max()), side_scale)
    n_steps = math.ceil(D * (highest + _SUMS) / _BITS / _STEP)
    n_primes = min(n_steps * _STEP, _MOST, max(2, _ROOM // (net.n_neurons * D)))
    residues = _allocate(net.n_neurons, n_layers, D, n_primes)
    residues.scales[:], residues.side_scale[0] = scales, side_scale
    residues.primes[:], residues.inverses[:] = _primes(n_primes)
    for m, layer in enumerate(net.hidden):
        for source in layer.weights:
            if source > 0:
                residues.reads[m] |= residues.reads[source - 1]
                residues.reads[m, source - 1] = True
    return Record(residues._replace(sides=sides, powers=_powers(n_primes, highest.bit_length())))


def _scales(net: Network) -> NDArray[np.int64]:
    """Return by which power of two the rows of each layer, and its slopes, are integers, int64 of shape (2, L)."""
    scales = np.full((2, len(net.hidden)), -1)
    for m, layer in enumerate(net.hidden):
        own = [_scale(layer.bias)]
        for source, weights in layer.weights.items():
            before = 0 if source == 0 else int(scales[:, source - 1].sum())
            entries = weights if isinstance(weights, np.ndarray) else weights.data
            own.append(before + _scale(entries) if before >= 0 else _MOST_SCALE)
        if max(*own, _scale(layer.slopes)) < _MOST_SCALE:
            scales[:, m] = max(own), _scale(layer.slopes)
    return scales


def _scale(values: ArrayLike) -> int:
    """Return the least exponent e >= 0 with which all values times 2**e are integers."""
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[array != 0]
    if not len(array):
        return 0
    fraction, exponent = np.frexp(array)
    mantissas = np.ldexp(fraction, 53).astype(np.int64)
    zeros = np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1
    return max(0, int((53 - zeros - exponent).max()))


@lru_cache(maxsize=16)
def _primes(n: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the n largest primes below 2**31, and the inverse modulo each of the product of those before it."""
    primes: list[int] = []
    inverses, product = [], 1
    candidate = 1 << 31
    while len(primes) < n:
        candidate -= 1
        if _is_prime(candidate):
            primes.append(candidate)
            inverses.append(pow(product, -1, candidate))
            product *= candidate
    return np.array(primes, np.uint64), np.array(inverses, np.uint64)


def _is_prime(n: int) -> bool:
    """Return whether n is prime, 7 < n < 3,215,031,751: below, these bases suffice (Jaeschke 1993)."""
    if n % 2 == 0 or n % 3 == 0 or n % 5 == 0 or n % 7 == 0:
        return False
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    for base in (2, 3, 5, 7):
        x = pow(base, (n - 1) >> twos, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
            return False
    return True


@lru_cache(maxsize=16)
def _powers(n_primes: int, n_bits: int) -> NDArray[np.uint32]:
    """Return 2**(t - _LOWEST) modulo the first primes, for t - _LOWEST < 1024 + 2**n_bits; to be read only."""
    primes = _primes(n_primes)[0][:, None]
    powers = np.array([[pow(2, -_LOWEST, int(prime))] for prime in primes[:, 0]], np.uint64)
    n_powers = _LOWEST + 1024 + (1 << n_bits)
    while powers.shape[1] < n_powers:
        step = np.array([[pow(2, powers.shape[1], int(prime))] for prime in primes[:, 0]], np.uint64)
        powers = np.concatenate([powers, powers * step % primes], axis=1)
    return powers.astype(np.uint32)


# --- arithmetic modulo a prime p = 2**31 - c


@compiled(inline=True)
def _reduced(x: Any, p: Any) -> Any:
    """Return x < 2**63 modulo p: 2**31 is c there, and c < 2**14."""
    mask, c = np.uint64(_MASK), np.uint64(_MASK + 1) - p
    x = (x >> np.uint64(31)) * c + (x & mask)
    x = (x >> np.uint64(31)) * c + (x & mask)
    return x - p if x >= p else x


@compiled(inline=True)
def _of_float(residues: Any, k: int, value: float, scale: int) -> Any:
    """Return value * 2**scale, an integer, modulo prime k."""
    if value == 0.0:
        return np.uint64(0)
    p = residues.primes[k]
    fraction, exponent = math.frexp(abs(value))
    mantissa = np.uint64(np.int64(math.ldexp(fraction, 53)))
    x = _reduced(_reduced(mantissa, p) * np.uint64(residues.powers[k, exponent - 53 + scale + _LOWEST]), p)
    return p - x if value < 0.0 and x != np.uint64(0) else x


@compiled()
def _inverse(x: Any, p: Any) -> Any:
    """Return 1 / x modulo p, by Fermat."""
    out, power, exponent = np.uint64(1), x, p - np.uint64(2)
    while exponent:
        if exponent & np.uint64(1):
            out = _reduced(out * power, p)
        power = _reduced(power * power, p)
        exponent >>= np.uint64(1)
    return out


@compiled()
def _sign(residues: Any, values: Any, n: int) -> int:
    """Return the sign of the integer below half the product of the first n primes with these residues; spoils them.

    Its digits in the mixed radix 1, p_0, p_0 p_1, ... come one by one. It is positive iff they do not exceed those of
    half the product, less a half: (p - 1) / 2 each.
    """
    for k in range(1, n):
        p = residues.primes[k]
        # The number that the digits before stand for, modulo p, by Horner's rule.
        x = np.uint64(0)
        for m in range(k - 1, -1, -1):
            x = _reduced(x * residues.primes[m] + values[m], p)
        digit = values[k] + p - x
        values[k] = _reduced(_reduced(digit, p) * residues.inverses[k], p)
    zero = True
    for k in range(n):
        zero = zero and values[k] == np.uint64(0)
    if zero:
        return 0
    for k in range(n - 1, -1, -1):
        half = (residues.primes[k] - np.uint64(1)) >> np.uint64(1)
        if values[k] != half:
            return 1 if values[k] < half else -1
    return 1


# --- rows


@compiled()
def _forget(problem: Any, residues: Any, bits: Any, layer: int) -> None:
    """Forget the rows, up to those of a layer, that were composed on another path."""
    for m in range(layer + 1):
        first = problem.first_neuron[m]
        same = True
        for w in range((first + 63) >> 6):
            mask = ~np.uint64(0)
            if first - 64 * w < 64:
                mask = (np.uint64(1) << np.uint64(first - 64 * w)) - np.uint64(1)
            path = bits[w] & mask
            same = same and residues.paths[m, w] == path
            residues.paths[m, w] = path
        if not same:
            for j in range(first, problem.first_neuron[m + 1]):
                residues.n_known[j] = 0


@compiled()
def _compose(problem: Any, rows: Any, residues: Any, bits: Any, layer: int, j: int, n: int) -> None:
    """Compose row j of a layer for the first n primes; the rows of its sources with a slope are known."""
    D, width, first = residues.rows.shape[2], problem.widths[layer], problem.first_neuron[layer]
    begin = residues.n_known[j]
    i, scale = j - first, residues.scales[_ROW, layer]
    base = (D + 1) * first + i
    size = problem.base_norm[j]
    for k in range(begin, n):
        for u in range(D):
            residues.rows[j, k, u] = np.uint32(_of_float(residues, np.int64(k), rows.done[base + u * width], scale))
    for source in range(layer):
        for block in range(problem.first_block[source], problem.first_block[source + 1]):
            if problem.reader[block] != layer:
                continue
            before = problem.first_neuron[source]
            slope_scale = residues.scales[_SLOPE, source]
            shift = scale - residues.scales[_ROW, source] - slope_scale
            for q in range(before, problem.first_neuron[source + 1]):
                bit = np.int64((bits[q >> 6] >> np.uint64(q & 63)) & np.uint64(1))
                slope, weight = (
                    problem.slopes[q, bit],
                    problem.weights[problem.weights_at[block] + (q - before) * width + i],
                )
                if slope == 0.0 or weight == 0.0:
                    continue
                size += max(abs(weight) * abs(slope) * residues.sizes[q], 1e-290)
                for k in range(begin, n):
                    p = residues.primes[k]
                    factor = _of_float(residues, np.int64(k), weight, shift)
                    if slope != 1.0:
                        factor = _reduced(factor * _of_float(residues, np.int64(k), slope, slope_scale), p)
                    elif slope_scale > 0:
                        factor = _reduced(factor * np.uint64(residues.powers[k, slope_scale + _LOWEST]), p)
                    for u in range(D):
                        residues.rows[j, k, u] = np.uint32(
                            _reduced(np.uint64(residues.rows[j, k, u]) + factor * np.uint64(residues.rows[q, k, u]), p)
                        )
    residues.sizes[j] = size * _ROUND_UP
    residues.n_known[j] = n


@compiled()
def _know(problem: Any, rows: Any, residues: Any, bits: Any, layer: int, place: int, n: int) -> bool:
    """Compose a row of a layer or one before, with all that it needs, for the first n primes; False if unavailable."""
    if place == INFINITY or place >= residues.n_known.shape[0] or residues.n_known[place] >= n:
        return True
    own = layer
    while problem.first_neuron[own] > place:
        own -= 1
    if residues.scales[_ROW, own] < 0:
        return False
    for m in range(own):
        if residues.reads[own, m]:
            for q in range(problem.first_neuron[m], problem.first_neuron[m + 1]):
                bit = np.int64((bits[q >> 6] >> np.uint64(q & 63)) & np.uint64(1))
                if problem.slopes[q, bit] != 0.0 and residues.n_known[q] < n:
                    _compose(problem, rows, residues, bits, m, q, n)
    _compose(problem, rows, residues, bits, own, place, n)
    return True


@compiled()
def _bits_of(problem: Any, residues: Any, layer: int, place: int) -> float:
    """Return a bound on the logarithm (to base 2) of the norm of an integer row; at least 0."""
    D = residues.rows.shape[2]
    if place == INFINITY:
        return 0.0
    if place >= residues.n_known.shape[0]:
        size = 0.0
        for u in range(D):
            size += abs(residues.sides[place - residues.n_known.shape[0], u])
        scale = residues.side_scale[0]
    else:
        own = layer
        while problem.first_neuron[own] > place:
            own -= 1
        size, scale = residues.sizes[place], residues.scales[_ROW, own]
    if not 0.0 < size < 1e300:
        return 0.0 if size == 0.0 else np.inf
    return float(max(math.log2(size) + scale + 1e-3, 0.0))


@compiled()
def _copy_row(residues: Any, place: int, k: int, out: Any) -> None:
    """Copy a row modulo prime k."""
    D = residues.rows.shape[2]
    if place == INFINITY:
        for u in range(D):
            out[u] = np.uint64(u == D - 1)
    elif place >= residues.n_known.shape[0]:
        i = place - residues.n_known.shape[0]
        for u in range(D):
            out[u] = _of_float(residues, k, residues.sides[i, u], residues.side_scale[0])
    else:
        for u in range(D):
            out[u] = np.uint64(residues.rows[place, k, u])


@compiled(inline=True)
def _reduce(work: Any, r: int, n: int, leads: Any, p: Any) -> None:
    """Make row r of the matrix vanish on the leads of its first n rows; times its multipliers, by no division."""
    D = work.shape[1]
    for m in range(n):
        lead = leads[m]
        a, b = work[m, lead], work[r, lead]
        minus = p - b
        for u in range(D):
            work[r, u] = _reduced(a * work[r, u] + minus * work[m, u], p)


# --- answers


@compiled()
def sign_at(
    problem: Any,
    rows: Any,
    residues: Any,
    bits: Any,
    owners: Any,
    tight: Any,
    layer: int,
    neuron: int,
    c: int,
    zero_only: bool,
) -> int:
    """Return the sign of a neuron's row at the point X with X_c > 0 where the rows of `tight` vanish; else `UNKNOWN`.

    Parameters
    ----------
    bits, owners, tight
        The path; the place of the row of each bit; the bits of the rows that vanish at X, of rank D - 1.
    layer, neuron, c
        Of which neuron, with its layer, and a component of X.
    zero_only
        Only 0 is told from what is unknown.
    """  # fmt: skip
    D, work, leads = residues.work.shape[1], residues.work, residues.chosen[1]
    if residues.primes.shape[0] == 0:
        return UNKNOWN
    _forget(problem, residues, bits, layer)
    if not _know(problem, rows, residues, bits, layer, neuron, np.int64(1)):
        return UNKNOWN
    p, rank, size = residues.primes[0], 0, _bits_of(problem, residues, layer, neuron)
    for bit in range(64):
        if rank < D - 1 and tight >> np.uint64(bit) & np.uint64(1):
            place = np.int64(owners[bit])
            if not _know(problem, rows, residues, bits, layer, place, np.int64(1)):
                return UNKNOWN
            _copy_row(residues, place, np.int64(0), work[rank])
            _reduce(work, np.int64(rank), np.int64(rank), leads, p)
            lead = 0
            while lead < D and work[rank, lead] == np.uint64(0):
                lead += 1
            if lead < D:
                residues.chosen[0, rank], leads[rank] = place, lead
                rank += 1
                size += _bits_of(problem, residues, layer, place)
    if rank < D - 1:
        return UNKNOWN
    # The column that leads no row.
    last = (D * (D - 1)) // 2
    for m in range(D - 1):
        last -= leads[m]
    # Twice a determinant is less than the product of the primes.
    if not size + 2.0 < _BITS * residues.primes.shape[0]:
        return UNKNOWN
    n = np.int64((size + 2.0) / _BITS) + 1
    if not zero_only and n > _MOST_DIGITS:
        return UNKNOWN
    zero = True
    for k in range(n):
        p = residues.primes[k]
        if k > 0:
            for m in range(D - 1):
                place = residues.chosen[0, m]
                if k == 1 and not _know(problem, rows, residues, bits, layer, place, n):
                    return UNKNOWN
                _copy_row(residues, place, np.int64(k), work[m])
                _reduce(work, np.int64(m), np.int64(m), leads, p)
                if work[m, leads[m]] == np.uint64(0):
                    return UNKNOWN
            if k == 1:
                _know(problem, rows, residues, bits, layer, neuron, n)
        _copy_row(residues, neuron, np.int64(k), work[D - 1])
        _reduce(work, np.int64(D - 1), np.int64(D - 1), leads, p)
        zero = zero and work[D - 1, last] == np.uint64(0)
        if zero_only:
            if not zero:
                return UNKNOWN
            continue
        for u in range(D):
            work[D, u] = np.uint64(u == c)
        _reduce(work, np.int64(D), np.int64(D - 1), leads, p)
        # Row m was multiplied by the leading entries of all rows before it; that of the last row is the product of the
        # leading entries but for these.
        scale = multiplied = np.uint64(1)
        for m in range(D - 1):
            scale = _reduced(scale * multiplied, p)
            multiplied = _reduced(multiplied * work[m, leads[m]], p)
        factor = _inverse(scale, p)
        residues.digits[0, k] = _reduced(factor * work[D - 1, last], p)
        residues.digits[1, k] = _reduced(factor * work[D, last], p)
    if zero:
        return 0
    sign = _sign(residues, residues.digits[0], n) * _sign(residues, residues.digits[1], n)
    return sign if sign != 0 else UNKNOWN


@compiled()
def _solves(residues: Any, k: int, neuron: int) -> bool:
    """Return whether modulo prime k the row of a neuron is a combination of `chosen[0]`, 0 where `chosen[2]` is 0."""
    D, work, p = residues.work.shape[1], residues.work, residues.primes[k]
    line = residues.work[D]
    # The rows are the columns of the matrix, the neuron's the last one.
    for m in range(D):
        _copy_row(residues, residues.chosen[0, m] if m < D - 1 else neuron, k, line)
        for u in range(D):
            work[u, m] = line[u]
    for m in range(D - 1):
        pivot = m
        while pivot < D and work[pivot, m] == np.uint64(0):
            pivot += 1
        if pivot == D:
            return False
        if pivot != m:
            for u in range(m, D):
                work[m, u], work[pivot, u] = work[pivot, u], work[m, u]
        a = work[m, m]
        for r in range(D):
            if r == m or work[r, m] == np.uint64(0):
                continue
            minus = p - work[r, m]
            for u in range(m, D):
                work[r, u] = _reduced(a * work[r, u] + minus * work[m, u], p)
    if work[D - 1, D - 1] != np.uint64(0):
        return False
    fits = True
    for m in range(D - 1):
        fits = fits and (residues.chosen[2, m] != 0 or work[m, D - 1] == np.uint64(0))
    return fits


@compiled()
def are_multipliers(problem: Any, rows: Any, residues: Any, bits: Any, layer: int, neuron: int) -> bool:
    """Return whether the row of a neuron is proven a combination of others, some of them with the multiplier 0.

    The places of the d others are in `chosen[0]`, independent or not (then nothing is proven). `chosen[2]` is 0 where
    the multiplier is to be 0, and 1 where it may be anything.
    """
    D = residues.work.shape[1]
    if residues.primes.shape[0] == 0:
        return False
    _forget(problem, residues, bits, layer)
    n, size = np.int64(1), 2.0
    for step in range(2):
        if not _know(problem, rows, residues, bits, layer, neuron, n):
            return False
        for m in range(D - 1):
            if not _know(problem, rows, residues, bits, layer, residues.chosen[0, m], n):
                return False
        if step == 0:
            # Most of what is no combination fails modulo the first prime.
            if not _solves(residues, np.int64(0), neuron):
                return False
            size += _bits_of(problem, residues, layer, neuron)
            for m in range(D - 1):
                size += _bits_of(problem, residues, layer, residues.chosen[0, m])
            if not size < _BITS * residues.primes.shape[0]:
                return False
            n = np.int64(size / _BITS) + 1
    solves = True
    for k in range(1, n):
        solves = solves and _solves(residues, np.int64(k), neuron)
    return solves


@compiled()
def is_zero_row(problem: Any, rows: Any, residues: Any, bits: Any, layer: int, neuron: int) -> bool:
    """Return whether the row of a neuron is proven to be 0, bias included."""
    if residues.primes.shape[0] == 0:
        return False
    _forget(problem, residues, bits, layer)
    if not _know(problem, rows, residues, bits, layer, neuron, np.int64(1)):
        return False
    size = _bits_of(problem, residues, layer, neuron) + 2.0
    if not size < _BITS * residues.primes.shape[0]:
        return False
    n = np.int64(size / _BITS) + 1
    for k in range(n):
        if k == 1:
            _know(problem, rows, residues, bits, layer, neuron, n)
        for u in range(residues.work.shape[1]):
            if residues.rows[neuron, k, u] != 0:
                return False
    return True
