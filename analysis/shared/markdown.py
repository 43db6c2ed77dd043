"""Tables in Markdown, and the place for them in a file whose other text is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["markdown_table", "write_between_marks"]

_BEGIN, _END = "<!-- tables -->", "<!-- /tables -->"


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]], n_words: int = 2) -> str:
    """Return a table whose first `n_words` columns are words, the others numbers, set to the right.

    Examples
    --------
    >>> print(markdown_table(["a", "b", "c"], [["x", "y", "2"]]))
    | a | b | c |
    | --- | --- | ---: |
    | x | y | 2 |
    """
    rows = [head, [*["---"] * n_words, *["---:"] * (len(head) - n_words)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_between_marks(path: Path, text: str) -> None:
    """Write text between the marks of a Markdown file, or as a new file; its other text stays.

    Raises
    ------
    ValueError
        The file is there and lacks the marks.
    """
    marked = f"{_BEGIN}\n{text}\n{_END}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{marked}\n")
        return
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path} must have the marks {_BEGIN} and {_END}; put them where the tables go.")
    path.write_text(f"{before}{marked}{after}")
