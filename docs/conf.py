"""How Sphinx builds the site: `make docs`, which needs the extra `docs` and no network."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
# The kernel that executes the pages reads the same tropnet, on one thread.
os.environ["PYTHONPATH"] = str(HERE.parent)
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "tropnet"
author = "the authors of tropnet"
version = release = version_of("tropnet")
extensions = [
    "mathml",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "gallery/README.md"]
nitpicky = True
html_theme = "furo"
html_title = f"tropnet {release}"
html_static_path = ["_static"]
html_css_files = ["tropnet.css"]
html_math_renderer = "mathml"

# Pages: MyST Markdown, whose cells are executed in a fresh directory; a cell that fails fails the build.
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Reference: the docstrings are numpydoc's, and say the types of their parameters in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "py:obj"
# Words in single backticks are names of parameters as often as of objects: they link where they can.
nitpick_ignore_regex = [("py:obj", r".*")]

# External addresses that `make linkcheck` does not ask for: DOIs redirect, and publishers refuse programs.
linkcheck_ignore = [r"https://doi\.org/.*"]
