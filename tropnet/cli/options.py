"""What commands are given: options that several share, and the values that users write as text."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tropnet as tn
from tropnet.cli.logs import quiet_option, shows_progress, verbose_option

if TYPE_CHECKING:
    from tropnet.arrays.types import FloatArray

__all__ = [
    "BACKENDS",
    "ENGINES",
    "box_option",
    "check_folder",
    "domain_of",
    "engine_option",
    "network_argument",
    "not_over",
    "output_options",
    "points_of",
    "search_options",
    "workers_option",
]

# Those of `tropnet.enumeration` and `tropnet.feasibility`, which a text of help need not wait for.
ENGINES = ("auto", "polygon", "vertex", "simplex", "lp", "reference")
BACKENDS = ("highs", "cvxpy", "exact")
# More threads than any machine has cores only cost time to start.
_MOST_WORKERS = 4096


def network_argument(function: Callable[..., None]) -> Callable[..., None]:
    """Take the file of a network, as `path`, and `reading`, what is told of an ONNX model, for `load`."""

    @wraps(function)
    def command(
        *, input_shape: str | None, output: str | None, inputs: str | None, fixed: tuple[str, ...], **others: Any
    ) -> None:
        given = {
            "input_shape": None if input_shape is None else _lengths(input_shape),
            "output": output,
            "inputs": None if inputs is None else inputs.split(","),
            "fixed": dict(map(_fixed_value, fixed)) or None,
        }
        function(reading={name: value for name, value in given.items() if value is not None}, **others)

    options = [
        click.argument("path", metavar="NET", type=click.Path(dir_okay=False)),
        click.option(
            "--input-shape", metavar="N,N,...", help="ONNX: shape of one input, where the file leaves it open."
        ),
        click.option("--output", metavar="NAME", help="ONNX: the tensor wanted; logits leaves off a last Softmax."),
        click.option("--inputs", metavar="NAME,...", help="ONNX: the inputs that vary, if not all that are not fixed."),
        click.option(
            "--fixed", multiple=True, metavar="NAME=V,...", help="ONNX: value of another input; may be repeated."
        ),
    ]
    return reduce(lambda taken, option: option(taken), reversed(options), command)


def output_options(function: Callable[..., None]) -> Callable[..., None]:
    """Take --json, as `as_json`, and --quiet and --verbose, of which `logs` tells."""
    json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return quiet_option(verbose_option(json_option(function)))


box_option = click.option(
    "--box",
    nargs=2,
    metavar="LOW HIGH",
    help="Box domain; LOW and HIGH are one number, or one per input separated by commas.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="Engine; all give the same regions (reference: small networks only).",
)
workers_option = click.option(
    "--workers", type=click.IntRange(1, _MOST_WORKERS), default=1, show_default=True, help="Threads to search with."
)


def search_options(function: Callable[..., None]) -> Callable[..., None]:
    """Take what every search takes; the command gets domain and limit, and `search` for the call of the library."""

    @wraps(function)
    def command(*, engine: str, backend: str, workers: int, **others: Any) -> None:
        search = {"engine": engine, "backend": backend, "workers": workers, "progress": shows_progress()}
        function(search=search, **others)

    options: list[Callable[..., Any]] = [
        box_option,
        engine_option,
        click.option(
            "--backend",
            type=click.Choice(BACKENDS),
            default="highs",
            show_default=True,
            help="What proposes decisions; all are proven exactly.",
        ),
        click.option("--max-regions", type=click.IntRange(min=1), help="Stop after so many regions."),
        workers_option,
        output_options,
    ]
    return reduce(lambda taken, option: option(taken), reversed(options), command)


def check_folder(out: str) -> None:
    """Refuse to begin what is to be written into a folder that is not there, or cannot be written.

    Raises
    ------
    OSError
        It names the folder.
    """
    target = Path(os.path.realpath(out))
    folder = target.parent
    if target.exists() and not target.is_file():
        return  # a device or a pipe needs nothing made beside it
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no folder to write to", str(folder))
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def not_over(path: str, out: str | None) -> None:
    """Refuse to write over the network that is read.

    Raises
    ------
    click.BadParameter
        The two are one file.
    """
    if out is not None and Path(out).is_file() and Path(path).exists() and Path(out).samefile(path):
        raise click.BadParameter(f"'{out}' is the network itself; name another file.", param_hint="'--out'")


def domain_of(box: tuple[str, str] | None, net: tn.Network) -> tn.Domain:
    """Return the domain that --box means for a network, all of R^d if it was not given."""
    import numpy as np

    if box is None:
        return tn.WholeSpace(net.n_inputs)
    low, high = (_numbers(text, "--box") for text in box)
    for side in (low, high):
        if len(side) not in (1, net.n_inputs):
            raise click.BadParameter(
                f"LOW and HIGH must be one number or {net.n_inputs} (one per input), got {len(side)}.",
                param_hint="'--box'",
            )
    d = net.n_inputs
    return tn.Box(np.broadcast_to(low, d), np.broadcast_to(high, d))


def points_of(points: tuple[str, ...], source: str | None, net: tn.Network) -> FloatArray:
    """Return the points (n, d) that --at or --input means for a network."""
    import numpy as np

    from tropnet.arrays.checks import as_points

    if bool(points) == (source is not None):
        raise click.UsageError("give points either with --at or with --input FILE.")
    if source is None:
        rows = [_numbers(point, "--at") for point in points]
        lengths = {len(row) for row in rows}
        if lengths != {net.n_inputs}:
            raise tn.ShapeError(f"every point must have {net.n_inputs} coordinates, got {sorted(lengths)}.")
        return as_points(rows, net.n_inputs)[0]
    table: Any
    try:
        if source.endswith(".npy"):
            table = np.load(source, allow_pickle=False)
            if table.ndim > 2 and table.size == len(table) * net.n_inputs:
                table = table.reshape(len(table), net.n_inputs)
            return as_points(table, net.n_inputs)[0]
        text = Path(source).read_text()
        table = np.loadtxt(text.splitlines(), delimiter=",", ndmin=2) if text.strip() else []
        return as_points(table, net.n_inputs)[0]
    except ValueError as error:
        reason = (
            str(error) if isinstance(error, tn.TropnetError) else "a .npy file or rows of numbers with commas are read"
        )
        raise tn.ShapeError(f"'{source}' must hold points of {net.n_inputs} coordinates: {reason}") from error


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"must be integers separated by commas, as in 1,28,28, got '{text}'.", param_hint="'--input-shape'"
        ) from None


def _fixed_value(text: str) -> tuple[str, Any]:
    name, sign, values = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"must be NAME=VALUE, got '{text}'.", param_hint="'--fixed'")
    numbers = _numbers(values, "--fixed")
    return name, numbers if len(numbers) > 1 else numbers[0]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"must be numbers separated by commas, got '{text}'.", param_hint=f"'{option}'"
        ) from None
