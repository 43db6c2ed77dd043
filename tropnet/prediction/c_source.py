"""A compiled predictor as one C99 file: its search tree, its affine maps, and a forward pass for what they leave."""

from __future__ import annotations

import os
import re
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.archives import write_atomically
from tropnet.network.network import Network
from tropnet.prediction.c_template import ABOUT, FUNCTIONS, HEAD
from tropnet.prediction.predictor import CompiledPredictor, membership

__all__ = ["export_c"]

# Compilers take seconds for more, and it may be a mistake.
_LARGE = 10_000_000
# What a number takes as text, about.
_FLOAT_TEXT, _INTEGER_TEXT = 24, 8
# Rows of a table that are written at a time.
_PART = 1 << 12
_WIDTH = 76


class _Table(NamedTuple):
    """A constant array of C: what stands before its length, what after it, and its columns, one of the members each."""

    kind: str
    name: str
    shape: str
    columns: tuple[NDArray[Any], ...]

    @property
    def n_bytes(self) -> int:
        """What it takes in a program, about."""
        return sum(column.size * (8 if column.dtype == np.float64 else 4) for column in self.columns)

    @property
    def n_text(self) -> int:
        """What it takes in the file, about."""
        return sum(
            column.size * (_FLOAT_TEXT if column.dtype == np.float64 else _INTEGER_TEXT) for column in self.columns
        )


def export_c(predictor: CompiledPredictor, path: str | os.PathLike[str], *, name: str = "tropnet") -> None:
    r"""Write a compiled predictor as one C99 file that needs no library and allocates nothing.

    The file defines ``int tropnet_predict(const double *x, double *y)``, which writes the outputs at x into y and
    returns the number of the affine map that gave them, ``const double *tropnet_map(int number)``, the coefficients of
    that map, and the constants ``TROPNET_INPUTS``, ``TROPNET_OUTPUTS`` and ``TROPNET_MAPS``. All tables are constant,
    so any number of threads may call it. The head of the file says all that a user of it needs to know.

    Parameters
    ----------
    predictor
        What `tropnet.compile_regions` returned.
    path
        The file, usually ``*.c``; it is written whole or not at all.
    name
        What functions and, in capitals, constants begin with: files of different names can be linked together.

    Raises
    ------
    TypeError
        `predictor` is no `CompiledPredictor`.
    ValueError
        `name` is no identifier of C.
    OSError
        The file cannot be written.

    Warns
    -----
    UserWarning
        The file will have more than 10 MB; it says how many bytes it and the tables in a program take.

    Notes
    -----
    It answers as the predictor does. Each comparison carries the same bound on all rounding errors; a point nearer to a
    hyperplane than that is left to a forward pass of the network, skips and all, which is in the file, too, and for
    which the function returns ``TROPNET_MAPS``. So no point gets the map of another region. An output is off by at most
    N 2^-52 S: S is the same output with absolute values of weights, biases, slopes and inputs, and N, which the head of
    the file states, counts the terms on the way to it (unless results are so small that they underflow).

    Numbers stand in the file as they are, in hexadecimal. Where the map of a region answers, the sum is that of the
    predictor, bit by bit, if the compiler neither fuses multiplications with additions nor keeps more digits than
    float64 has; the bounds hold there, too. With ``-ffast-math`` and its like they would not, and the file refuses to
    be compiled.

    A point outside of the domain gets NaN and -1, or a forward pass if the predictor's `outside` is ``"network"``; one
    that is not finite always -1, and one at which the network overflows -2.

    A node takes 12 bytes, a hyperplane 8 (d + 2) and a map 8 n_outputs (d + 1), each once, and about three times that
    as text; writing takes about 10 microseconds a node. Compiles as C99 and as C++17.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tropnet import Box, Network, compile_regions
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "net.c")
    ...     export_c(compile_regions(net, Box(-1, 1)), path, name="net")
    ...     text = path.read_text()
    >>> print(*re.findall("^(?:#define NET|static const double).*$", text, re.MULTILINE), sep="\n")
    #define NET_INPUTS 1
    #define NET_OUTPUTS 1
    #define NET_MAPS 2
    static const double net_box[1][2] = {
    static const double net_maps[2][1][2] = {
    """
    if not isinstance(predictor, CompiledPredictor):
        kind = type(predictor).__name__
        raise TypeError(f"predictor must be a tropnet.CompiledPredictor, got {kind}; see tropnet.compile_regions.")
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name)):
        raise ValueError(f"name must be an identifier of C, such as 'controller', got {name!r}.")
    tables = _tables(predictor, name)
    n_text, n_bytes = (sum(sizes) for sizes in zip(*((each.n_text, each.n_bytes) for each in tables), strict=True))
    if n_text > _LARGE:
        warnings.warn(
            f"'{os.fspath(path)}' will have about {n_text:,} bytes, and a program {n_bytes:,} bytes of tables from it;"
            " a smaller domain has fewer regions.",
            stacklevel=2,
        )
    net = predictor.network
    lengths = {each.name: len(each.columns[0]) for each in tables}
    values = {"name": name, "NAME": name.upper(), "inputs": net.n_inputs, "outputs": net.n_outputs}
    words = values | {
        "about": _about(predictor, n_bytes, Path(path).name, values),
        "maps": predictor.size.n_maps,
        "unit": _number(predictor.arrays["unit"].item()),
        "beyond": f"{name}_finite(x, {net.n_inputs}) ? {name}_forward(x, y) : {name}_without(-1, y)"
        if predictor.outside == "network"
        else f"{name}_without(-1, y)",
        **{f"n_{each}": lengths[each] for each in ("grids", "sides", "roots", "neurons")},
    }

    def write(file: BinaryIO) -> None:
        file.write(Template(HEAD).substitute(words).encode())
        for table in tables:
            for text in _definition(table, name):
                file.write(text.encode())
        file.write(Template(FUNCTIONS).substitute(words).encode())

    write_atomically(path, write)


def _tables(predictor: CompiledPredictor, name: str) -> list[_Table]:
    """Return all tables of the file; hyperplanes that several nodes ask stand there once."""
    arrays, net = predictor.arrays, predictor.network
    box, sides = membership(predictor.domain)
    d = net.n_inputs
    rows, asks = np.unique(arrays["rows"], axis=0, return_inverse=True)
    grids, maps = arrays["grids"], arrays["maps"]
    neurons, terms = _network_tables(net)
    return [
        _Table("double", "box", "[2]", (box.T,)),
        _Table(f"struct {name}_side", "sides", "", (sides[:, :d], sides[:, d])),
        _Table(f"struct {name}_grid", "grids", "", (grids[:, 0], grids[:, 1], grids[:, 2].astype(np.int64))),
        _Table("int", "roots", "", (arrays["roots"],)),
        _Table(f"struct {name}_row", "rows", "", (rows[:, :d], rows[:, d], rows[:, d + 1])),
        _Table(f"struct {name}_node", "nodes", "", (asks.ravel(), arrays["children"])),
        _Table("double", "maps", f"[{net.n_outputs}][{d + 1}]", (maps,)),
        _Table(f"struct {name}_neuron", "neurons", "", neurons),
        _Table(f"struct {name}_term", "terms", "", terms),
    ]


def _network_tables(net: Network) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
    """Return the neurons of all layers (bias, slopes, end of the terms) and their terms (weight, source).

    Sources are counted through the inputs and all layers; weights of zero are left out.
    """
    starts = np.cumsum([0, net.n_inputs, *(layer.width for layer in net.layers)])
    layers = [
        sparse.hstack(
            [
                sparse.csr_array(layer.weights[k]) if k in layer.weights else sparse.csr_array((layer.width, width))
                for k, width in enumerate(np.diff(starts[: index + 2]).tolist())
            ],
            format="csr",
        )
        for index, layer in enumerate(net.layers)
    ]
    for weights in layers:
        weights.eliminate_zeros()
        weights.sort_indices()
    bias = np.concatenate([layer.bias for layer in net.layers])
    slopes = np.concatenate([np.asarray(layer.slopes) for layer in net.layers])
    ends = np.cumsum(np.concatenate([np.diff(weights.indptr) for weights in layers]))
    terms = (np.concatenate([each.data for each in layers]), np.concatenate([each.indices for each in layers]))
    return (bias, slopes, ends), terms


def _about(predictor: CompiledPredictor, n_bytes: int, file: str, values: dict[str, Any]) -> str:
    """Return the comment at the head of the file."""
    net, goes_on = predictor.network, predictor.outside == "network"
    text = ABOUT.format(
        **values,
        nowhere="x is not finite" if goes_on else "x lies outside of the domain or is not finite",
        near="outside of the domain or within rounding of a facet" if goes_on else "within rounding of a facet",
        network=net,
        domain=textwrap.shorten(repr(predictor.domain), 200, placeholder=" ..."),
        size=predictor.size,
        n_terms=_n_terms(net),
        n_bytes=n_bytes,
        n_stack=8 * (net.n_inputs + net.n_neurons + net.n_outputs),
        file=file,
    )
    lines = [
        wrapped
        for line in text.splitlines()
        for wrapped in (textwrap.wrap(line, _WIDTH) if line[:1].strip() else [line])
    ]
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines), " */"])


def _n_terms(net: Network) -> int:
    """Return how many terms are summed on the way to an output, by layers and then by the map, roundings included."""
    per_layer = [4 + sum(weight.shape[1] + 1 for weight in layer.weights.values()) for layer in net.layers]
    return int(sum(per_layer)) + net.n_inputs + 3


def _definition(table: _Table, prefix: str) -> Iterator[str]:
    """Yield the definition of a table, some rows at a time; C knows no empty ones, so these get a row of zeros."""
    n = len(table.columns[0])
    columns = table.columns if n else [np.zeros((1, *each.shape[1:]), dtype=each.dtype) for each in table.columns]
    yield f"\nstatic const {table.kind} {prefix}_{table.name}[{max(n, 1)}]{table.shape} = {{\n"
    for first in range(0, max(n, 1), _PART):
        rows = zip(*(each[first : first + _PART].tolist() for each in columns), strict=True)
        yield "".join(f"    {_braced(row if len(row) > 1 else row[0])},\n" for row in rows)
    yield "};\n"


def _braced(values: Any) -> str:
    """Return numbers, nested in lists, as an initialiser."""
    return f"{{{', '.join(map(_braced, values))}}}" if isinstance(values, list | tuple) else _number(values)


def _number(value: float) -> str:
    """Return a number as C reads it, exactly.

    Examples
    --------
    >>> _number(-3), _number(0.75), _number(1.0), _number(float("inf"))
    ('-3', '0x1.8p-1', '0x1p+0', 'HUGE_VAL')
    """
    if isinstance(value, int):
        return str(value)
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "HUGE_VAL" if value > 0 else "-HUGE_VAL"
    return re.sub(r"\.?0*p", "p", value.hex(), count=1)
