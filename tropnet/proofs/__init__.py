"""Certificates: files that prove that regions are all there are, and a small program that checks them."""

from tropnet.proofs.calls import Checked, check

__all__ = ["Checked", "check"]
