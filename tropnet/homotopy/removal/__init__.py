"""Taking skips out of a module, or carrying them in channels."""

from tropnet.homotopy.removal.removal import remove_skips

__all__ = ["remove_skips"]
