"""Certificates: files that prove that regions are all there are, and a small program that checks them."""

from tropnet.proofs.calls import Checked, check
from tropnet.proofs.certify import Certified, certify
from tropnet.proofs.verdicts import certify_property, check_property

__all__ = ["Certified", "Checked", "certify", "certify_property", "check", "check_property"]
