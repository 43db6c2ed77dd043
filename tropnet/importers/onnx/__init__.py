"""ONNX graphs, read (extra ``tropnet[onnx]``)."""

from tropnet.importers.onnx.importer import from_onnx

__all__ = ["from_onnx"]
