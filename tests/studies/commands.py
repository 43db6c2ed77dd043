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


def committed_results(name):
    """Return the results files of a study: of its full size, of a reduced one, or both."""
    paths = (results.RESULTS / f"{name}.json", results.RESULTS / f"{name}_reduced.json")
    return [path for path in paths if path.exists()]


def files_in(home):
    """Return the files of a folder; the cache of a full run, a folder, is none."""
    return [path for path in home.glob("*.*") if path.is_file()]


def committed():
    """Return the digests of all results and figures under version control."""
    paths = [path for home in (results.RESULTS, results.FIGURES) for path in files_in(home)]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
