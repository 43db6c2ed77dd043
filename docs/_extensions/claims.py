"""The table of claims as drop-downs: each shows a claim and its verdict, and when it is opened the rest of its row."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

COLUMNS = ["claim", "published", "ours", "verdict", "command"]


class Claims(SphinxDirective):
    """`claims` takes a Markdown file with one table of `COLUMNS`, between `<!-- claims -->` and `<!-- /claims -->`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a drop-down for each row of the table."""
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        text = "\n".join(self._drop_down(row) for row in rows(Path(path).read_text()))
        return self.parse_text_to_nodes(text)

    @staticmethod
    def _drop_down(row: dict[str, str]) -> str:
        """Return a row as Markdown; the title has what is bold in the verdict."""
        short = ", ".join(re.findall(r"\*\*(.+?)\*\*", row["verdict"]))
        parts = "\n\n".join(f"*{name.capitalize()}*: {row[name]}" for name in COLUMNS[1:])
        return f":::{{dropdown}} {row['claim']} — {short}\n{parts}\n:::\n"


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of the table; "same" stands for what stands above."""
    found: list[dict[str, str]] = []
    for line in text.split("<!-- claims -->")[1].split("<!-- /claims -->")[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) != len(COLUMNS) or cells[0] == COLUMNS[0] or set(cells[0]) <= set("-|: "):
            continue
        row = dict(zip(COLUMNS, cells, strict=True))
        if found and row["command"].startswith("same"):
            row["command"] = found[-1]["command"]
        if found and row["claim"].startswith("same: "):
            source = re.split(r": | \(", found[-1]["claim"])[0]
            row["claim"] = f"{source}: {row['claim'].removeprefix('same: ')}"
        found.append(row)
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the directive."""
    app.add_directive("claims", Claims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
