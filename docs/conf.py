"""How Sphinx builds the site: `make docs`, which needs the extra `docs` and no network."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
# The process that executes a page reads the same tropnet, on one thread.
os.environ["PYTHONPATH"] = str(HERE.parent)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TROPNET_QUIET"] = "1"  # pages do not show what this machine had to compile

project = "tropnet"
author = "the authors of tropnet"
version = release = version_of("tropnet")
extensions = [
    "claims",
    "command_help",
    "mathml",
    "myst_nb",
    "numpydoc",
    "signatures",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "streams",
]
exclude_patterns = ["_build", "gallery/README.md"]
nitpicky = True
smartquotes_action = "qe"  # no dashes: --box is an option
html_theme = "furo"
html_show_copyright = False
html_title = f"tropnet {release}"
html_static_path = ["_static"]
html_css_files = ["tropnet.css"]
html_math_renderer = "mathml"

# Pages: MyST Markdown, whose cells are executed in a fresh directory; a cell that fails fails the build.
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/acas_xu.ipynb"]  # shows what the published network gives; a test executes it
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Reference: types stand in the signatures, one parameter a line where they are long.
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "py:obj"
# Words in single backticks are names of parameters as often as of objects: they link where they can. Of types, those
# that users call `tropnet.X` must be found; others (of numpy, or inside a room) are names only.
nitpick_ignore_regex = [("py:obj", r".*"), ("py:class", r"(?!tropnet\.[A-Z]\w*$).*")]
autodoc_type_aliases = {
    name: name for name in ("ArrayLike", "BoolArray", "FloatArray", "IndexArray", "IntegerArray", "PathLike")
}

# External addresses that `make linkcheck` does not ask for: DOIs redirect, and publishers refuse programs.
linkcheck_ignore = [r"https://doi\.org/.*"]
