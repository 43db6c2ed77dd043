"""ONNX graphs, read."""
