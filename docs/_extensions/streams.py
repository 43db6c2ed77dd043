"""What a cell prints is shown as it was printed, in however many pieces the kernel sent it.

MyST-NB joins pieces of one stream by newlines, so that a line whose piece was sent in the middle is shown as two.
"""

from typing import Any

from myst_nb.core import render

merged = render.coalesce_streams


def joined(outputs: list[Any]) -> list[Any]:
    """Return outputs in which neighbours of one stream are one, then merged as MyST-NB does."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output["output_type"] == "stream" == whole[-1]["output_type"] and output["name"] == whole[-1]["name"]:
            whole[-1]["text"] += output["text"]
        else:
            whole.append(output)
    return merged(whole)


def setup(app: Any) -> dict[str, Any]:
    """Put `joined` in the place of MyST-NB's function."""
    render.coalesce_streams = joined
    return {"parallel_read_safe": True, "parallel_write_safe": True}
