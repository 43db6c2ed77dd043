"""Lines of a journal: JSON with a checksum."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["as_json", "content_of", "line_of"]


def line_of(content: Mapping[str, Any]) -> bytes:
    """Return a line that holds this."""
    text = as_json(dict(content)).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def content_of(line: bytes) -> dict[str, Any] | None:
    """Return what a line holds; None if it is torn or damaged."""
    if not line.endswith(b"\n") or len(line) < 10 or line[:8] != b"%08x" % zlib.crc32(line[9:-1]):
        return None
    found: dict[str, Any] = json.loads(line[9:])
    return found


def as_json(content: Any) -> str:
    """Return JSON that is the same for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
