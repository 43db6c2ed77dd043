"""What onnxruntime gives for an input, to compare a counterexample with the model that it is of."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx

from tropnet.arrays.types import FloatArray
from tropnet.importers.onnx.evaluation import quiet_session

__all__ = ["outputs_by_onnxruntime"]

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def outputs_by_onnxruntime(path: str | os.PathLike[str], point: FloatArray) -> FloatArray | None:
    """Return the outputs of a model at the input of its own type that is nearest to a float64 one, as float64 (m,).

    None where the model is not of one input and one output of floating point, or onnxruntime does not take the input:
    lengths of axes that the file leaves open are 1.
    """
    try:
        session: Any = quiet_session(onnx.load(os.fspath(path)))
        parts = session.get_inputs()
        if len(parts) != 1 or len(session.get_outputs()) != 1 or parts[0].type not in _TYPES:
            return None
        shape = [length if isinstance(length, int) and length > 0 else 1 for length in parts[0].shape]
        array = np.asarray(point, dtype=_TYPES[parts[0].type]).reshape(shape)
        return np.asarray(session.run(None, {parts[0].name: array})[0], dtype=np.float64).ravel()
    except Exception:  # onnxruntime has errors of many kinds; the network was compared with the model when it was read
        return None
