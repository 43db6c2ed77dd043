"""Studies by their names, how tests call them, and what they must leave alone."""

import hashlib
import importlib

from analysis.shared import results


def study(name):
    """Return a study by its name."""
    return importlib.import_module(f"analysis.{name}.__main__").STUDY


def data_option(name, root):
    """Return the arguments that name the folder of the data, for a study that needs one."""
    return ["--data", str(root)] if "--data" in study(name).arguments else []


def committed():
    """Return the digests of all results and figures under version control."""
    paths = [path for home in (results.RESULTS, results.FIGURES) for path in home.glob("*.*")]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
