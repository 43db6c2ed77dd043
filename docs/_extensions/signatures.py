"""Names of types in signatures as people write them: Sphinx shows aliases that it was told to keep as a call."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef


def setup(app: Sphinx) -> dict[str, bool]:
    """Show an alias by its name."""
    del app
    TypeAliasForwardRef.__repr__ = lambda alias: alias.name  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
