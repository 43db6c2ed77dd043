"""Moved to tests.strategies; this name goes soon."""

from tests.strategies import *  # noqa: F403
from tests.strategies import FloatArray as FloatArray
