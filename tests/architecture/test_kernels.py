"""Kernels that are no entries are called from kernels only: called from Python they would crash."""

import ast
from pathlib import Path

import tropnet

PACKAGE = Path(tropnet.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def _options(function: ast.FunctionDef) -> dict[str, bool] | None:
    """Return the options of `@compiled`, None if the function is no kernel."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "compiled":
            return {str(word.arg): bool(ast.literal_eval(word.value)) for word in decorator.keywords}
    return None


def _kernels(tree: ast.Module) -> dict[str, bool]:
    """Return the kernels of a module, and whether they are entries."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: options.get("entry", False) for f in functions if (options := _options(f)) is not None}


def test_python_calls_only_kernels_that_are_entries():
    trees = {path: ast.parse(path.read_text()) for path in SOURCES}
    inner = {name for tree in trees.values() for name, entry in _kernels(tree).items() if not entry}
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): {
            name for name, entry in _kernels(tree).items() if not entry
        }
        for path, tree in trees.items()
    }
    entries = {name for tree in trees.values() for name, entry in _kernels(tree).items() if entry}
    assert {"search", "_volumes"} <= entries
    assert "find_facets" in inner
    wrong = []
    for path, tree in trees.items():
        own = _kernels(tree)
        imports = [
            (node.module, alias.name, alias.asname or alias.name)
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        imported = {name for module, original, name in imports if original in modules.get(str(module), ())}
        known = {name for name, entry in own.items() if not entry} | imported
        aliases = {name: modules.get(f"{module}.{original}", set()) for module, original, name in imports}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in own:
                continue
            calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
            names = {f.id for f in calls if isinstance(f, ast.Name)} & known
            names |= {
                f.attr
                for f in calls
                if isinstance(f, ast.Attribute) and f.attr in aliases.get(ast.unparse(f.value), ())
            }
            wrong += [f"{path.name}: {name}" for name in names]
    assert not wrong
