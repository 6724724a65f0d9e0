"""What a study's outputs were made from: a digest of its code, claims, imports, data and versions.

Parts of a digest: the notebook's code cells, its entry in papers.yaml, every module of `shared`
that it imports (transitively), and the pinned version of every package that those import. Source
is normalised, so comments, blank lines and docstrings don't count. Data archives are pinned by
their hashes in the module that loads them, and so are part of that module.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

from nbformat import NotebookNode

from shared.registry import Paper
from workflow import notebook
from workflow.notebook import ROOT

# The pins' names, where a package is imported under another one.
_IMPORTED_AS = {"pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn"}

# What is said about a paper, rather than asked of the experiment.
_NOT_MADE_FROM = ("deviations", "diagnosis", "topic")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def normalise(tree: ast.Module) -> str:
    """Source without comments, blank lines, formatting and docstrings."""
    for node in _statements(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A tree's statements, at any depth, without a walk through their expressions."""
    yield node
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, part, None)
        for child in children if isinstance(children, list) else ():
            yield from _statements(child)


def _imports(tree: ast.AST, module: str = "") -> set[str]:
    """The dotted names that a tree imports; `from a import b` gives both a and a.b."""
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: -node.level]
                base = ".".join([*parents, base] if base else parents)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


@cache
def _module(name: str, root: Path) -> tuple[Path, str, frozenset[str]] | None:
    """Path, normalised hash and imports of a module of `shared`; None if there is no such file."""
    stem = root.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            tree = ast.parse(path.read_text(encoding="utf8"))
            package = name + ".__init__" if path.name == "__init__.py" else name
            return path, _hash(normalise(tree)), frozenset(_imports(tree, package))
    return None


def closure(names: set[str], root: Path = ROOT) -> tuple[dict[str, str], set[str]]:
    """Hashes of all modules of `shared` reached from `names`, and the top-level packages used."""
    todo, modules, packages = set(names), {}, set()
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen or not name:
            continue
        seen.add(name)
        if name.split(".")[0] != "shared":
            packages.add(name.split(".")[0])
            continue
        found = _module(name, root)
        if found:
            path, digest, imports = found
            modules[str(path.relative_to(root))] = digest
            todo |= imports
        if "." in name:
            todo.add(name.rpartition(".")[0])
    return modules, packages


@cache
def pins(root: Path = ROOT) -> dict[str, str]:
    """The pinned versions of environment.yml, by the name that a package is imported under."""
    text = (root / "environment.yml").read_text(encoding="utf8")
    found = re.findall(r"^ *- ([A-Za-z0-9_.-]+)==?([0-9][^\s]*)$", text, flags=re.M)
    return {_IMPORTED_AS.get(name, name.replace("-", "_")): version for name, version in found}


def parts(paper: Paper, nb: NotebookNode | None = None, root: Path = ROOT) -> dict[str, str]:
    """Everything that the study's outputs depend on, by name, each with its hash or version.

    NotebookError if the notebook does not exist or a code cell is not Python.
    """
    nb = nb or notebook.read(root / paper.notebook)
    try:
        cells = [ast.parse(cell.source) for cell in notebook.code_cells(nb)]
    except SyntaxError as error:
        raise notebook.NotebookError(
            f"{paper.notebook}: a code cell is no Python: {error}"
        ) from None
    source = "\n".join(map(normalise, cells))
    modules, packages = closure(set().union(*map(_imports, cells)), root)
    claims = {k: v for k, v in asdict(paper).items() if k not in _NOT_MADE_FROM}
    result = {"notebook": _hash(source), "papers.yaml": _hash(json.dumps(claims, sort_keys=True))}
    result |= modules
    result |= {name: v for name, v in pins(root).items() if name in packages or name == "python"}
    return dict(sorted(result.items()))


def digest(made_from: dict[str, str]) -> str:
    """One hash of all parts."""
    return _hash(json.dumps(made_from, sort_keys=True))


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What differs between two sets of parts, a line each."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name not in new:
            lines.append(f"{name}: no longer used")
        elif name not in old:
            lines.append(f"{name}: newly used")
        elif "." in old[name]:
            lines.append(f"{name}: {old[name]} -> {new[name]}")
        else:
            lines.append(f"{name}: changed")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Print for each chosen study what changed since its outputs were made."""
    from workflow.select import add_selection, selected

    parser = argparse.ArgumentParser(prog="make why", description=main.__doc__)
    add_selection(parser)
    args = parser.parse_args(argv)
    for paper in selected(args):
        nb = notebook.read(ROOT / paper.notebook)
        made_from = nb.metadata.get("study", {}).get("made_from")
        if made_from is None:
            print(f"{paper.id}: never refreshed; `make refresh ID={paper.id}`")
            continue
        lines = changes(made_from, parts(paper, nb))
        print(f"{paper.id}: {'up to date' if not lines else 'stale'}")
        for line in lines:
            print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
