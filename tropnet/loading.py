"""Reading networks from files: which reader reads which kind of file, told by the suffix."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tropnet.errors import FileFormatError, MissingExtraError
from tropnet.network.network import Network
from tropnet.progress import track

__all__ = ["EXAMPLE", "READERS", "example_network", "load"]

_LOG = logging.getLogger("tropnet.loading")
Reader = Callable[..., Network]
# The network that ships with the package, a property of it, and how it was trained: phi_1.npz, .vnnlib, .json.
EXAMPLE = Path(__file__).parent / "example"


def load(path: str | os.PathLike[str], **options: Any) -> Network:
    """Read a network from an `.npz` file written by `Network.save`, or an `.onnx` file, see `tropnet.from_onnx`.

    The suffix, in whatever case, says which it is. A file of any other name is read if `Network.save` wrote it.

    Parameters
    ----------
    path
        The file.
    options
        For `.onnx` files, those of `tropnet.from_onnx`: `input_shape`, `output`, `inputs`, `fixed`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        The file is truncated, was not written by tropnet, is of another format, or would need pickle; or options are
        given for one that is no `.onnx` file.
    MissingExtraError
        It is an `.onnx` file, and the extra 'onnx' is not installed.
    TropnetError
        It is an `.onnx` file, and `from_onnx` refuses it.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _ELSEWHERE:
        raise FileFormatError(f"'{os.fspath(path)}' is not a tropnet network (.npz). {_ELSEWHERE[suffix]}")
    if options and suffix != ".onnx":
        raise FileFormatError(
            f"'{os.fspath(path)}' must be an .onnx file: only those take {', '.join(sorted(options))}."
        )
    with track(f"reading '{os.fspath(path)}'", "", enabled=False):
        net = READERS.get(suffix, _read_by_content)(path, **options)
    _LOG.info("read '%s': %r", os.fspath(path), net)
    return net


def example_network() -> Network:
    """Return the network that ships with tropnet: two inputs, five hidden layers of five ReLU neurons, two skips.

    It was trained on phi_1(x, y) = sin(log|x| + log|y|) on [-10, 10]^2, one of the functions of Joyce and Verschelde,
    *Computing Linear Regions in Neural Networks with Skip Connections*; the first skip adds layer 1 to the input of
    layer 3, the second layer 2 to that of layer 4. On the command line `tropnet demo` writes it as `phi_1.npz`.

    Examples
    --------
    >>> import tropnet as tn
    >>> net = tn.example_network()
    >>> net
    Network(2-5-5-5-5-5-1, skips 1-3, 2-4)
    >>> tn.count_regions(net, tn.Box(-10, 10))
    347
    """
    return Network.load(EXAMPLE / "phi_1.npz")


def _read_onnx(path: str | os.PathLike[str], **options: Any) -> Network:
    try:
        from tropnet.importers.onnx import from_onnx
    except ImportError as error:
        raise MissingExtraError.of(f"reading '{os.fspath(path)}'", "onnx") from error
    return from_onnx(path, **options)


def _read_by_content(path: str | os.PathLike[str]) -> Network:
    """Read a file whose suffix says nothing, if it is an archive as `Network.save` writes it."""
    with open(path, "rb") as file:
        if file.read(len(_ARCHIVE)) == _ARCHIVE:
            return Network.load(path)
    raise FileFormatError(
        f"'{os.fspath(path)}' must be a network: a file that ends in {' or '.join(READERS)}, or one that Network.save"
        " wrote under another name."
    )


# How every zip archive, and so every `.npz` file, begins.
_ARCHIVE = b"PK"
# Which function reads the networks in files of which suffix.
READERS: Mapping[str, Reader] = {".npz": Network.load, ".onnx": _read_onnx}
# Files of other things, and what to do with those.
_TORCH = "For a PyTorch model, build the module, load its weights and use tropnet.from_torch(module).save('net.npz')."
_ELSEWHERE = {
    ".parquet": "Files of regions are read by tropnet.Regions.from_parquet(path); their attribute `network` is one.",
    ".pt": _TORCH,
    ".pth": _TORCH,
}
