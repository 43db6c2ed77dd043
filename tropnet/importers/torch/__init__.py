"""PyTorch modules, read and written (extra ``tropnet[torch]``)."""

from tropnet.importers.torch.collapse import collapse
from tropnet.importers.torch.export import to_torch
from tropnet.importers.torch.importer import SkipMLP, from_torch

__all__ = ["SkipMLP", "collapse", "from_torch", "to_torch"]
