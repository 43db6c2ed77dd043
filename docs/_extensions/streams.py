"""What a cell prints is shown as it was printed, in however many pieces the kernel sent it."""

from __future__ import annotations

from myst_nb.core import render
from nbformat import NotebookNode
from sphinx.application import Sphinx

coalesce_streams = render.coalesce_streams


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return outputs in which neighbours of one stream are one, then merged as MyST-NB does.

    By itself it puts a newline between the pieces of a stream, also where a piece ends within a line.
    """
    whole: list[NotebookNode] = []
    for output in outputs:
        stream = output["output_type"] == "stream" and output["name"]
        if stream and whole and whole[-1].get("name") == stream:
            whole[-1]["text"] += output["text"]
        else:
            whole.append(output)
    return coalesce_streams(whole)


def put_in_place(app: Sphinx) -> None:
    """Let MyST-NB merge streams by `joined`."""
    del app
    render.coalesce_streams = joined


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer nothing; outputs are joined from the start of a build on."""
    app.connect("builder-inited", put_in_place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
