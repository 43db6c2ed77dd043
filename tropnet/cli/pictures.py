"""Pictures as the command line writes them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

__all__ = ["picture_of"]

_DOTS_PER_INCH = 200


def picture_of(ax: Any, suffix: str) -> bytes:
    """Return the figure of matplotlib's axes as a file with that suffix, with all labels."""
    drawn = BytesIO()
    ax.figure.savefig(drawn, format=suffix[1:], dpi=_DOTS_PER_INCH, bbox_inches="tight")
    return drawn.getvalue()
