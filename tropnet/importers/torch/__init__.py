"""PyTorch modules, read and written."""
