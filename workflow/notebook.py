"""Reading and cleaning executed notebooks."""

from __future__ import annotations

import ast
import base64
import json
import os
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from shared.study import MIME

ROOT = Path(__file__).resolve().parents[1]


class NotebookError(ValueError):
    """A notebook that is not shaped as a study; the message names it and says what to do."""


def build_dir() -> Path:
    """Where everything that is not committed goes: $PAPERS_BUILD, or build/ in the repository."""
    return (ROOT / os.environ.get("PAPERS_BUILD", "build")).resolve()


def read(path: Path) -> NotebookNode:
    """The notebook at `path`; NotebookError when there is none or it is not valid JSON."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise NotebookError(
            f"{_name(path)}: no such notebook; `make new ID={Path(path).stem}` scaffolds it"
        ) from None
    except (ValueError, nbformat.reader.NotJSONError) as error:
        raise NotebookError(f"{_name(path)}: not a notebook: {str(error)[:200]}") from None


def write(nb: NotebookNode, path: Path) -> None:
    """Write atomically: an interrupted run or a full disk leaves the old file as it was."""
    write_bytes(path, (nbformat.writes(nb).rstrip("\n") + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write atomically, by a temporary file in the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _name(path: Path) -> str:
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    """The code cells that are not empty, in order."""
    return [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]


def tagged(nb: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells that carry a tag."""
    return [c for c in nb.cells if tag in c.metadata.get("tags", [])]


def parameters(nb: NotebookNode, name: str) -> dict[str, object]:
    """The literals of the cell tagged `parameters`, by name; NotebookError if not all literal."""
    cells = tagged(nb, "parameters")
    if len(cells) != 1:
        raise NotebookError(f"{name}: expected one cell tagged `parameters`, found {len(cells)}")
    found: dict[str, object] = {}
    for node in ast.parse(cells[0].source).body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            raise NotebookError(f"{name}: the parameters cell holds more than `name = literal`")
        try:
            found[node.targets[0].id] = ast.literal_eval(node.value)
        except (ValueError, AttributeError):
            line = ast.unparse(node)
            raise NotebookError(f"{name}: parameter is not a plain literal: {line}") from None
    return found


def verdict(nb: NotebookNode) -> dict | None:
    """The verdict JSON among the outputs, or None."""
    found = None
    for cell in code_cells(nb):
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(MIME)
            if data is not None:
                found = json.loads("".join(data)) if isinstance(data, str | list) else dict(data)
    return found


def figure(nb: NotebookNode) -> bytes | None:
    """The PNG of the cell tagged `figure`, or None."""
    for cell in tagged(nb, "figure"):
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            if png:
                return base64.b64decode("".join(png))
    return None


def with_outputs(nb: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """`nb` with the outputs of its executed copy, which may hold older prose and comments.

    NotebookError if the code is cut into other cells than in the executed copy.
    """
    fresh, done = code_cells(nb), code_cells(executed)
    if len(fresh) != len(done):
        raise NotebookError(f"{len(done)} code cells were executed, {len(fresh)} stand there now")
    for cell, source in zip(fresh, done, strict=True):
        cell.outputs, cell.execution_count = source.outputs, source.execution_count
    return nb


def clean(nb: NotebookNode, study: dict | None = None) -> NotebookNode:
    """A copy fit to commit: no stderr, timing metadata, widgets or injected parameters.

    `study` becomes the notebook's metadata of that name; None keeps what is there.
    """
    nb = nbformat.reads(nbformat.writes(nb), as_version=4)
    nb.cells = [c for c in nb.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    count = 0
    for number, cell in enumerate(nb.cells, 1):
        tags = [t for t in cell.metadata.get("tags", []) if not t.startswith("papermill")]
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell["id"] = f"cell-{number:02d}"
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            cell.execution_count = None
            continue
        count += 1
        if cell.get("execution_count") is not None:
            cell.execution_count = count
        cell.outputs = [
            o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")
        ]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            output.pop("transient", None)
    old = nb.metadata.get("study")
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    if study is not None or old is not None:
        nb.metadata["study"] = study if study is not None else old
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb
